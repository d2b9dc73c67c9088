'use strict';

const childProcess = require('node:child_process');
const { withOwnSpawn } = require('./spawn');

/** child_process.fork() on forkwire's channel: same arguments, same errors, Node's own process creation. */
function fork(...args) {
  return withOwnSpawn(() => childProcess.fork(...args));
}

/** child_process.spawn(): an 'ipc' entry in stdio uses forkwire's channel. */
function spawn(...args) {
  return withOwnSpawn(() => childProcess.spawn(...args));
}

module.exports = { fork, spawn };
