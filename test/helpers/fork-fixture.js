'use strict';

// Children for tests: a file of test/fixtures, or a function of the test that runs in a process of its own.

const path = require('node:path');
const { descriptorsOf, newDescriptors } = require('./descriptors');
const { fork } = require('./subject');
const { until } = require('./until');

const FIXTURES = path.join(__dirname, '../fixtures');

const fixture = (name) => path.join(FIXTURES, name);

/** Forks test/fixtures/<name> (with its extension). `args` and `options` are fork()'s. */
function forkFixture(name, args = [], options = {}) {
  return fork(fixture(name), args, options);
}

/**
 * forkFunction([options, ] body): forks a process that runs `body`, a function that uses nothing of its surroundings
 * but globals and `require` (as seen from test/fixtures). `options.with`: its arguments, as JSON.
 */
function forkFunction(...args) {
  const body = args.pop();
  const { with: given = [], ...options } = args[0] ?? {};
  return forkFixture('run-function.js', [body.toString(), JSON.stringify(given)], options);
}

/**
 * Runs `action` and checks that the child has no other descriptor open afterwards. Call it when the child is up, for instance
 * after its first message.
 */
async function keepsDescriptors(child, action) {
  const before = descriptorsOf(child.pid);
  const added = () => newDescriptors(before, descriptorsOf(child.pid));
  const result = await action();
  await until(() => added().length === 0, '').catch(() => {
    throw new Error(`the child ${child.pid} left open:\n${added().join('\n')}`);
  });
  return result;
}

module.exports = { fixture, forkFixture, forkFunction, keepsDescriptors };
