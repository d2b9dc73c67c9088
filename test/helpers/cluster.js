'use strict';

// Programs that use Node's cluster and know nothing of forkwire: a primary that runs under register.

const assert = require('node:assert/strict');
const path = require('node:path');
const { runFunction } = require('./run');
const { isStock } = require('./subject');

const REGISTER = path.join(__dirname, '../../lib/register.js');

function startPrimary(ofPrimary, ofWorker, given) {
  const cluster = require('node:cluster');
  const vm = require('node:vm');
  const args = [ofWorker, JSON.stringify(given)];
  const setUp = (settings) => cluster.setupPrimary({ exec: process.argv[1], args, ...settings });
  vm.runInThisContext(`(${ofPrimary})`)(setUp, ...given);
}

/**
 * Runs `primary(setUp, ...given)`, whose workers run `worker(...given)`. `setUp(settings)` is cluster.setupPrimary() for
 * such workers. Resolves to { code, signal, stdout, stderr }.
 */
function runPrimary(primary, worker, ...given) {
  const nodeArgs = isStock ? [] : ['--require', REGISTER];
  const options = { nodeArgs, with: [primary.toString(), worker.toString(), given] };
  return runFunction(options, startPrimary);
}

/** The same for one that ends well and says nothing on stderr: what it prints, as JSON. */
async function runCluster(...args) {
  const { stdout, stderr, code, signal } = await runPrimary(...args);
  assert.equal(stderr, '');
  assert.deepEqual([code, signal], [0, null]);
  return JSON.parse(stdout);
}

module.exports = { runCluster, runPrimary };
