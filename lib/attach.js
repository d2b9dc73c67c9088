'use strict';

// A channel on a ChildProcess or on process: what Node's setupChannel() does, on either wire. The one file that
// knows the addon.

const { showAmongResources } = require('./active-resources');
const binding = require('./binding');
const { Channel } = require('./channel');
const { flushAtExit } = require('./exit-flush');
const { finishAll } = require('./outbox');
const { install } = require('./target');

/**
 * Opens a channel on `fd`, which it adopts, and makes it target's.
 * @param target a ChildProcess, or process
 * @param options { wire: 'native' (the default) or 'node', reason: why it is the latter, fd, serialization: 'json' | 'advanced',
 *   limits: see limits.js, trace: who the peer is, for the wire log, endsWithClose: whether its end counts towards 'close',
 *   program: what must say HELLO, where the user is sure that it will }
 */
function attach(target, options) {
  const channel = new Channel(binding, target, options);
  install(target, channel);
  showAmongResources(channel);
  flushAtExit(flushAll, binding.processGroup, finishAll);
  return channel;
}

function flushAll(isFinal) {
  binding.flushAll(isFinal);
}

const { closeFd, dupFd, file, inode, isHungUp, isPrivileged, isSocket, socketPair, startedAs } =
  binding;

module.exports = {
  attach,
  addonFile: file,
  closeFd,
  dupFd,
  inode,
  isHungUp,
  isPrivileged,
  isSocket,
  socketPair,
  startedAs,
};
