'use strict';

// `node --require forkwire/register app.js`: from here on every fork(), spawn() with an 'ipc' entry and
// cluster.fork() of this process uses forkwire's channel, and so do its children.

const { ChildProcess } = require('node:child_process');
const { syncBuiltinESMExports } = require('node:module');
const { isMainThread } = require('node:worker_threads');
const { takeChannel, takeNodeChannel } = require('./child');

const GUARD = Symbol.for('forkwire');

function hookSpawn() {
  const { spawnChild } = require('./spawn');
  const { spawn: original } = ChildProcess.prototype;
  ChildProcess.prototype.spawn = function spawn(options) {
    return spawnChild(this, options, __filename, original);
  };
  syncBuiltinESMExports();
}

if (isMainThread) {
  takeChannel(__filename);
  takeNodeChannel();
}

// Two copies, two versions, or a module registry of a test runner: the first one hooks.
if (!process[GUARD]) {
  Object.defineProperty(process, GUARD, { value: { version: 1 } });
  hookSpawn();
}
