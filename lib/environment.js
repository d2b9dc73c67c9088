'use strict';

// What a child finds in its environment: where its channel is, and the preload that takes it. Both are put
// there by the parent and taken out again by the child before user code looks.

const { load } = require('./loader');

const CHANNEL = 'FORKWIRE_CHANNEL';
const OPTIONS = 'NODE_OPTIONS';
const NODE_CHANNEL = 'NODE_CHANNEL_FD';
const NODE_MODE = 'NODE_CHANNEL_SERIALIZATION_MODE';

/** What a program gives for these is not the child's business: Node, too, puts its own in their place. */
const RESERVED = [CHANNEL, NODE_CHANNEL, NODE_MODE];

let parentsAddon;

/** A path as NODE_OPTIONS wants it: double quotes, backslash escapes. */
const quote = (path) => `"${path.replace(/(["\\])/g, '\\$1')}"`;

const requireOption = (preload) => `--require ${quote(preload)}`;

const nameOf = (pair) => pair.slice(0, pair.indexOf('=', 1));

const without = (pairs, names) => pairs.filter((pair) => !names.includes(nameOf(pair)));

/** The value of a variable in `NAME=value` pairs; the first one counts, as for getenv(3). */
function valueIn(pairs, name) {
  const pair = pairs.find((candidate) => nameOf(candidate) === name);
  return pair?.slice(name.length + 1);
}

/**
 * The pairs for a child that is to take a channel.
 * @param pairs `NAME=value` strings; not modified
 * @param preload file that the child loads first
 * @param channel { fd, inode, serialization, limits, addon: the file that the child loads }
 */
function pairsForChild(pairs, preload, { fd, inode, serialization, limits, addon }) {
  const users = valueIn(pairs, OPTIONS);
  const ours = requireOption(preload);
  const texts = { preload: ours, addon };
  const encoded = Object.entries(texts).map(([name, text]) => [name, encodeURIComponent(text)]);
  const shared = limits ? load('./limits', module).sharedLimits(limits) : [];
  const named = [['serialization', serialization], ...shared, ...encoded];
  return [
    ...without(pairs, [...RESERVED, OPTIONS]),
    `${OPTIONS}=${users === undefined ? ours : `${ours} ${users}`}`,
    `${CHANNEL}=${fd}:${inode}:${named.map((pair) => pair.join('=')).join(',')}`,
  ];
}

/** The pairs for a child on stock Node's wire, which opens the channel itself. @param pairs not modified */
function pairsForNodeChild(pairs, { fd, serialization }) {
  return [...without(pairs, RESERVED), `${NODE_CHANNEL}=${fd}`, `${NODE_MODE}=${serialization}`];
}

/** A text that the parent gave; undefined where it gave none, or that is damaged. */
function decoded(text) {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const TEXTS = ['serialization', 'preload', 'addon'];

const hasLimits = (named) => Object.keys(named).some((name) => !TEXTS.includes(name));

/** { fd, inode, serialization, limits: undefined for the defaults, option: what was added to NODE_OPTIONS, addon }, or null for nonsense. */
function parseChannel(value) {
  const match = /^(\d{1,9}):(\d{1,15})(?::(.*))?$/.exec(value);
  if (!match) return null;
  const named = Object.fromEntries((match[3] ?? '').split(',').map((pair) => pair.split('=')));
  return {
    fd: Number(match[1]),
    inode: Number(match[2]),
    serialization: named.serialization === 'advanced' ? 'advanced' : 'json',
    limits: hasLimits(named) ? load('./limits', module).limitsFrom(named) : undefined,
    option: decoded(named.preload),
    addon: decoded(named.addon),
  };
}

/** Takes what the parent added out of NODE_OPTIONS, and the variable itself if it was not the user's. */
function removeOption(env, ours) {
  const value = env[OPTIONS];
  if (value === ours) delete env[OPTIONS];
  else if (value?.startsWith(`${ours} `)) env[OPTIONS] = value.slice(ours.length + 1);
}

/**
 * Takes both traces out of `env`. Gives what parseChannel() gives, or null when there is no channel.
 * @param preload the file that took it, as this process sees it; the parent may see it under another name, and says so
 */
function takeFrom(env, preload) {
  const value = env[CHANNEL];
  if (value === undefined) return null;
  delete env[CHANNEL];
  const channel = parseChannel(value);
  removeOption(env, channel?.option || requireOption(preload));
  parentsAddon = channel?.addon;
  return channel;
}

/** The addon that the parent has, or undefined: the child is to have it as well, whatever its variables say. */
const addonOfParent = () => parentsAddon;

module.exports = { addonOfParent, pairsForChild, pairsForNodeChild, takeFrom, valueIn };
