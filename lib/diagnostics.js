'use strict';

// What a user can look at: NODE_DEBUG=forkwire prints every frame, process warnings say what went wrong where
// nobody listens.

const util = require('node:util');

const log = util.debuglog('forkwire');

/** Whether frames are to be logged. */
const isTracing = log.enabled;

/** One line of the wire log; debuglog adds the pid. */
function trace(line) {
  log('%s %s', new Date().toISOString().slice(11, 23), line);
}

/** An error that nobody listens for is a warning: nothing of ours ends the process. */
function warn(error) {
  process.emitWarning(error.message, { type: 'ForkwireWarning', code: error.code, detail: '' });
}

module.exports = { isTracing, trace, warn };
