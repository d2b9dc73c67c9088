'use strict';

// In place of child_process: the same functions, with forkwire's channel under fork() and spawn().

const childProcess = require('node:child_process');
const { fork, spawn } = require('./fork');

module.exports = { ...childProcess, fork, spawn };
