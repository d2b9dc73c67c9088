'use strict';

// What a child finds in its environment: where its channel is, and the preload that takes it. Both are put
// there by the parent and taken out again by the child before user code looks.

const { limitsFrom, sharedLimits } = require('./limits');

const CHANNEL = 'FORKWIRE_CHANNEL';
const OPTIONS = 'NODE_OPTIONS';
const NODE_CHANNEL = 'NODE_CHANNEL_FD';
const NODE_MODE = 'NODE_CHANNEL_SERIALIZATION_MODE';

/** A path as NODE_OPTIONS wants it: double quotes, backslash escapes. */
const quote = (path) => `"${path.replace(/(["\\])/g, '\\$1')}"`;

const requireOption = (preload) => `--require ${quote(preload)}`;

const nameOf = (pair) => pair.slice(0, pair.indexOf('=', 1));

/** The value of a variable in `NAME=value` pairs; the first one counts, as for getenv(3). */
function valueIn(pairs, name) {
  const pair = pairs.find((candidate) => nameOf(candidate) === name);
  return pair?.slice(name.length + 1);
}

/**
 * The pairs for a child that is to take a channel.
 * @param pairs `NAME=value` strings; not modified
 * @param preload file that the child loads first
 * @param channel { fd, inode, serialization, limits }
 */
function pairsForChild(pairs, preload, { fd, inode, serialization, limits }) {
  const users = valueIn(pairs, OPTIONS);
  const ours = requireOption(preload);
  const named = [['serialization', serialization], ...sharedLimits(limits)];
  const kept = pairs.filter((pair) => ![CHANNEL, OPTIONS].includes(nameOf(pair)));
  return [
    ...kept,
    `${OPTIONS}=${users === undefined ? ours : `${ours} ${users}`}`,
    `${CHANNEL}=${fd}:${inode}:${named.map((pair) => pair.join('=')).join(',')}`,
  ];
}

/** The pairs for a child on stock Node's wire, which opens the channel itself. @param pairs not modified */
function pairsForNodeChild(pairs, { fd, serialization }) {
  const kept = pairs.filter((pair) => ![NODE_CHANNEL, NODE_MODE].includes(nameOf(pair)));
  return [...kept, `${NODE_CHANNEL}=${fd}`, `${NODE_MODE}=${serialization}`];
}

function parseChannel(value) {
  const match = /^(\d{1,9}):(\d{1,15})(?::(.*))?$/.exec(value);
  if (!match) return null;
  const named = Object.fromEntries((match[3] ?? '').split(',').map((pair) => pair.split('=')));
  return {
    fd: Number(match[1]),
    inode: Number(match[2]),
    serialization: named.serialization === 'advanced' ? 'advanced' : 'json',
    limits: limitsFrom(named),
  };
}

/** Takes the preload out of NODE_OPTIONS, and the variable itself if it was not the user's. */
function removePreload(env, preload) {
  const ours = requireOption(preload);
  const value = env[OPTIONS];
  if (value === ours) delete env[OPTIONS];
  else if (value?.startsWith(`${ours} `)) env[OPTIONS] = value.slice(ours.length + 1);
}

/** Takes both traces out of `env`. Gives { fd, inode, serialization, limits }, or null when there is no channel. */
function takeFrom(env, preload) {
  const value = env[CHANNEL];
  if (value === undefined) return null;
  delete env[CHANNEL];
  removePreload(env, preload);
  return parseChannel(value);
}

module.exports = { pairsForChild, pairsForNodeChild, takeFrom, valueIn };
