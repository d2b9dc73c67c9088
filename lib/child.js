'use strict';

// The child's side of the bring-up: takes the channel that the parent left, and makes it process's.

const { takeFrom } = require('./environment');
const { load } = require('./loader');
const { nodeProcess } = require('./primordials');

function loadAttachment() {
  try {
    return require('./attach');
  } catch (error) {
    const text = `forkwire: ${error.message}. Fork with { channel: 'node' } to do without.\n`;
    require('node:fs').writeSync(2, text);
    return nodeProcess.exit(load('./errors', module).NO_ADDON_EXIT_CODE);
  }
}

/** While somebody listens for these, the channel keeps the process alive. */
const REFERENCING = ['message', 'disconnect'];

function countListeners(control) {
  nodeProcess.on('newListener', (name) => {
    if (REFERENCING.includes(name)) control.refCounted();
  });
  nodeProcess.on('removeListener', (name) => {
    if (REFERENCING.includes(name)) control.unrefCounted();
  });
  // Node's cluster module may have added one before.
  for (const name of REFERENCING) {
    for (let i = nodeProcess.listenerCount(name); i > 0; i--) control.refCounted();
  }
}

/** Bootstrap made a cluster worker of this process before there was a channel; its first word was lost. */
function sayOnline() {
  if (nodeProcess.listenerCount('disconnect') === 0 || !require('node:cluster').isWorker) return;
  nodeProcess._send({ cmd: 'NODE_CLUSTER', act: 'online' }, null, true);
}

/** @param preload the file that NODE_OPTIONS named */
function takeChannel(preload) {
  const found = takeFrom(nodeProcess.env, preload);
  if (!found) return;
  const attachment = loadAttachment();
  if (!attachment.isSocket(found.fd, found.inode)) return; // meant for another process
  const { fd, serialization, limits } = found;
  const channel = attachment.attach(nodeProcess, {
    wire: 'native',
    fd,
    serialization,
    limits,
    trace: 'parent',
    endsWithClose: false,
  });
  channel.unreferenceUntilCounted();
  countListeners(channel.control);
  sayOnline();
}

const LAST_STDIO = 2;
const PARENTS_WIRE = 'the parent chose it';

/**
 * The parent is stock Node, or a forkwire that speaks its wire: takes the channel over from Node where nothing of it
 * was read yet, else leaves it as it is and says why. Node does not close what it has at 0 to 2, so it stays there as
 * well.
 */
function takeNodeChannel() {
  if (!nodeProcess.channel) return undefined;
  const found = require('./node-internals').freshNodeChannel();
  if (!found) return 'something of it was read already, or is to be written';
  if (found.fd <= LAST_STDIO) return `it is at stdio ${found.fd}`;
  const attachment = require('./attach');
  const fd = attachment.dupFd(found.fd);
  if (fd < 0) return 'no descriptor is free';
  found.remove();
  const { serialization } = found;
  const options = { fd, serialization, trace: 'parent', endsWithClose: false };
  const channel = attachment.attach(nodeProcess, {
    wire: 'node',
    reason: PARENTS_WIRE,
    ...options,
  });
  found.replaceBy(channel.control);
  channel.unreferenceUntilCounted();
  countListeners(channel.control);
  return undefined;
}

module.exports = { takeChannel, takeNodeChannel };
