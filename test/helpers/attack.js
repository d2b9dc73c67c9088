'use strict';

// Runs one attack of test/fixtures/hostile_peer.py on a process of its own, which may die of it.

const path = require('node:path');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { fixture } = require('./fork-fixture');
const { run } = require('./run');
const { isStock } = require('./subject');

// What makes a channel of ours of the one that the child finds.
const PRELOADS = {
  native: path.join(__dirname, '../../lib/preload.js'),
  node: path.join(__dirname, '../../lib/register.js'),
};
const AT_ONCE = 4; // processes start slowly
const HOSTILE_PEER = fixture('hostile_peer.py');
const ATTACKED = fixture('attacked.js');

/** The report of a process that survived; an Error that says how it died otherwise. */
function reportOf({ code, signal, stdout, stderr }) {
  const isReport = stdout.startsWith('{') && code === 0;
  if (isReport) return JSON.parse(stdout);
  throw new Error(`it died (${signal ?? code}): ${stderr.trim().slice(0, 600)}`);
}

/** The peer is a child of the process under attack. @param options of fork() */
async function attackParent(name, options, extraEnv = {}) {
  const args = [ATTACKED, 'parent', name, JSON.stringify(options)];
  return reportOf(await run(process.execPath, args, { env: { ...process.env, ...extraEnv } }));
}

/** The peer is the parent of the process under attack. */
async function attackChild(name, { channel, serialization = 'json' }, extraEnv = {}) {
  const wire = isStock ? 'node' : channel;
  const env = Object.entries(extraEnv).map((pair) => pair.join('='));
  if (!isStock) env.push(`NODE_OPTIONS=--require "${PRELOADS[wire]}"`);
  const program = ['--', process.execPath, ATTACKED, 'child'];
  const args = [...QUICK, HOSTILE_PEER, 'parent', name, wire, serialization, ...env, ...program];
  return reportOf(await run(python(), args));
}

/** Runs `check` for all of them, some at once; says which one failed. */
async function forAll(names, check) {
  const left = [...names];
  const work = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      await check(name).catch((error) => {
        error.message = `${name}: ${error.message}`;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

module.exports = { attackChild, attackParent, forAll };
