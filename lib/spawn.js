'use strict';

// Below fork(), spawn() and cluster.fork() lies ChildProcess.prototype.spawn(). Here is what forkwire does in its
// place: where stdio has an 'ipc' entry, Node starts the child with a plain descriptor there, and a channel of ours
// is attached. On the native wire a preload takes the child's end; on stock Node's wire the child finds what
// Node itself would have left.

const { ChildProcess } = require('node:child_process');
const path = require('node:path');
const attachment = require('./attach');
const { forkwireError, isErrno } = require('./errors');
const { pairsForChild, pairsForNodeChild } = require('./environment');
const { report } = require('./diagnostics');
const { limitsOf } = require('./limits');
const { expectClose, interceptExit } = require('./node-internals');
const { nextTick } = require('./primordials');
const { chooseWire, isNamedNode } = require('./wire-choice');

// Needed with the first handle; a process that is short of descriptors by then cannot load a file.
require('./handle-traffic');

const NO_ADDON_EXIT_CODE = 78; // of lib/preload.js

/** The one index of 'ipc' in stdio, or -1. Whatever Node would refuse is left to Node to refuse. */
function ipcSlot({ stdio, envPairs, serialization, file, args }) {
  const areSane =
    Array.isArray(stdio) &&
    Array.isArray(envPairs) &&
    typeof file === 'string' &&
    (args === undefined || Array.isArray(args)) &&
    [undefined, 'json', 'advanced'].includes(serialization);
  if (!areSane) return -1;
  const slot = stdio.indexOf('ipc');
  return slot === stdio.lastIndexOf('ipc') ? slot : -1;
}

function prepare(options, slot, wire, preload, limits, [ours, theirs]) {
  const serialization = options.serialization ?? 'json';
  const channel = { fd: slot, inode: attachment.inode(theirs), serialization, limits };
  options.stdio = options.stdio.with(slot, theirs);
  options.envPairs =
    wire === 'native'
      ? pairsForChild(options.envPairs, preload, channel)
      : pairsForNodeChild(options.envPairs, channel);
  return { wire, fd: ours, serialization, limits, trace: 'child', endsWithClose: true };
}

function start(child, options, spawn, [ours, theirs]) {
  try {
    return Reflect.apply(spawn, child, [options]);
  } catch (error) {
    attachment.closeFd(ours);
    throw error;
  } finally {
    attachment.closeFd(theirs);
  }
}

/** An exit that is noticed before the end of the channel: what the child sent comes first. Where the program was a
 * wrapper and a child of it has the channel, that goes on. `isPeer`: it was none, as far as is known before. */
function drainBeforeExit(child, channel, isPeer) {
  const isOver = () =>
    (isPeer && !channel.isBehindWrapper) || attachment.isHungUp(channel.control.fd ?? -1);
  interceptExit(child, (exitCode, proceed) => {
    if (!isOver()) {
      proceed();
      return;
    }
    channel.peerDied(() => {
      const saidNothing = channel.control.protocol === 'native' && !channel.heardHello;
      if (exitCode === NO_ADDON_EXIT_CODE && saidNothing) {
        const error = forkwireError('ERR_FORKWIRE_NO_HELLO', '', { pid: child.pid });
        nextTick(report, child, error);
      }
      nextTick(proceed);
    });
  });
}

/** Without a channel nobody would know of the child any more: fork() throws, and it does not run on. */
function attachTo(child, channelOptions) {
  try {
    return attachment.attach(child, channelOptions);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

function spawnOn(wire, child, options, slot, preload, limits, spawn) {
  const pair = attachment.socketPair();
  if (!Array.isArray(pair)) return Reflect.apply(spawn, child, [options]); // Node fails too, its own way
  const channelOptions = prepare(options, slot, wire, preload, limits, pair);
  const status = start(child, options, spawn, pair);
  if (isErrno(status, 'EMFILE') || isErrno(status, 'ENFILE')) {
    attachment.closeFd(pair[0]);
    return status;
  }
  expectClose(child);
  const channel = attachTo(child, channelOptions);
  const isPeer = wire === 'native' || isNamedNode(options.file);
  if (child.pid) drainBeforeExit(child, channel, isPeer);
  return status;
}

/** spawn() for `child`: with a channel of ours where there is to be one, else as Node does it. */
function spawnChild(child, options, preload, spawn) {
  const slot = options === null || typeof options !== 'object' ? -1 : ipcSlot(options);
  if (slot < 0) return Reflect.apply(spawn, child, [options]);
  const limits = limitsOf(options); // throws, so before there are descriptors
  const wire = chooseWire(options, slot, attachment.isPrivileged);
  return spawnOn(wire, child, options, slot, preload, limits, spawn);
}

const PRELOAD = path.join(__dirname, 'preload.js');

/** Runs `action` with ChildProcess.prototype.spawn() replaced for the one child that it starts. */
function withOwnSpawn(action) {
  const { prototype } = ChildProcess;
  const original = prototype.spawn;
  let isReplaced = true;
  const restore = () => {
    if (isReplaced) prototype.spawn = original;
    isReplaced = false;
  };
  prototype.spawn = function spawn(options) {
    restore();
    return spawnChild(this, options, PRELOAD, original);
  };
  try {
    return action();
  } finally {
    restore();
  }
}

module.exports = { spawnChild, withOwnSpawn };
