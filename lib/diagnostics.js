'use strict';

// What a user can look at: NODE_DEBUG=forkwire prints every frame, process warnings say what went wrong where
// nobody listens.

const util = require('node:util');
const { nodeProcess } = require('./primordials');

/** Whether frames are to be logged; the addon does it. */
const log = util.debuglog('forkwire');
const isTracing = log.enabled;

/** An error that nobody listens for is a warning: nothing of ours ends the process. */
function warn({ message, code, pid, hint: detail = '' }) {
  const warning = new Error(message);
  warning.name = 'ForkwireWarning';
  nodeProcess.emitWarning(Object.assign(warning, { code, detail }, pid > 0 && { pid }));
}

/** An error of ours that no call of the user's caused: an 'error' event if somebody listens. */
function report(target, error) {
  if (target.listenerCount('error') > 0) target.emit('error', error);
  else warn(error);
}

module.exports = { isTracing, log, report, warn };
