'use strict';

// In place of child_process: the same functions, with forkwire's channel under fork() and spawn().

const { OF_HANDLES, OF_OTHER_CHANNELS, load, readAhead } = require('./loader');
const childProcess = require('node:child_process');

const { fork, spawn } = load('./fork', module);
readAhead([...OF_HANDLES, ...OF_OTHER_CHANNELS]);

module.exports = { ...childProcess, fork, spawn };
