'use strict';

// A channel on a ChildProcess or on process: what Node's setupChannel() does, on either wire. The one file that
// knows the addon.

const { showAmongResources } = require('./active-resources');
const binding = require('./binding');
const { CoreChannel } = require('./core');
const { flushAtExit } = require('./exit-flush');
const { load, readAhead } = require('./loader');
const { nodeProcess } = require('./primordials');
const { install } = require('./target');

readAhead(binding);

const { FORKWIRE_DISABLE, NODE_DEBUG } = nodeProcess.env;

/** Nothing is switched off, nothing is logged, and no Worker may end before this thread does. */
const isUsualProcess =
  FORKWIRE_DISABLE === undefined &&
  NODE_DEBUG === undefined &&
  nodeProcess.abort?.disabled !== true;

/** Whether a CoreChannel will do to begin with. */
const isUsual = ({ wire, serialization, limits, program }) =>
  isUsualProcess &&
  wire !== 'node' &&
  serialization === 'json' &&
  limits === undefined &&
  program === undefined;

/**
 * Opens a channel on `fd`, which it adopts, and makes it target's.
 * @param target a ChildProcess, or process
 * @param options { wire: 'native' (the default) or 'node', reason: why it is the latter, fd, serialization: 'json' | 'advanced',
 *   limits: see limits.js; undefined: the default, trace: who the peer is, for the wire log, endsWithClose: whether its end counts towards 'close',
 *   program: what must say HELLO, where the user is sure that it will }
 */
function attach(target, options) {
  const channel = isUsual(options)
    ? new CoreChannel(binding, target, options)
    : new (load('./channel', module).Channel)(binding, target, options);
  install(target, channel);
  showAmongResources(channel);
  flushAtExit(flushAll, binding.processGroup, () => load('./outbox', module).finishAll());
  return channel;
}

function flushAll(isFinal) {
  binding.flushAll(isFinal);
}

const { closeFd, dupFd, file, identityOf, inode, isHungUp, isOwnProgram } = binding;
const { isPrivileged, isSocket, socketPair, startedAs } = binding;

module.exports = {
  attach,
  addonFile: file,
  identityOf,
  isOwnProgram,
  closeFd,
  dupFd,
  inode,
  isHungUp,
  isPrivileged,
  isSocket,
  socketPair,
  startedAs,
};
