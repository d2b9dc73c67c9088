'use strict';

// A program that knows nothing of forkwire, run twice: as it is, and under register.

const path = require('node:path');
const { runFunction } = require('./run');
const { isStock } = require('./subject');

const REGISTER = path.join(__dirname, '../../lib/register.js');

/** Runs `body(...given)` in a Node of its own, under register: { code, signal, stdout, stderr }. */
function runOurs(body, given = [], { nodeArgs = [], ...options } = {}) {
  const args = isStock ? nodeArgs : ['--require', REGISTER, ...nodeArgs];
  return runFunction({ ...options, nodeArgs: args, with: given }, body);
}

/** The same in a stock Node and under register: { stock, ours }. */
async function runBoth(body, given = [], { nodeArgs = [], ...options } = {}) {
  const [stock, ours] = await Promise.all([
    runFunction({ ...options, nodeArgs, with: given }, body),
    runOurs(body, given, { nodeArgs, ...options }),
  ]);
  return { stock, ours };
}

module.exports = { runBoth, runOurs };
