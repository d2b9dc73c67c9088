'use strict';

// In place of child_process: the same functions, with forkwire's channel under fork() and spawn().

const { load } = require('./loader');
const childProcess = require('node:child_process');

const { fork, spawn } = load('./fork', module);

module.exports = { ...childProcess, fork, spawn };
