'use strict';

// After every test: no process is left that it started, and this process has no descriptor that it did not have
// before. Closes are asynchronous, so both are waited for, a short time. What a before() of a file opened may stay
// until its after(); at the end of the run nothing may.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { descriptorsOf, newDescriptors } = require('./descriptors');
const { markDescendants, startedProcesses } = require('./processes');
const { until } = require('./until');

const LIMIT_MS = 3000;

/** What there is now. */
function takeStock() {
  return {
    pids: new Set(startedProcesses().map(({ pid }) => pid)),
    descriptors: descriptorsOf(),
  };
}

let atStart;
let beforeTest;

const newProcesses = (pids) => startedProcesses().filter(({ pid }) => !pids.has(pid));

/** What `find()` still finds after the time that closing may take. */
async function remaining(find) {
  const isGone = () => find().length === 0;
  return until(isGone, '', LIMIT_MS).then(
    () => [],
    () => find(),
  );
}

function kill({ pid }) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** An error that lists what there is now and was not then, or null. Processes are killed. */
async function leftSince({ pids, descriptors }) {
  const processes = await remaining(() => newProcesses(pids));
  processes.forEach(kill);
  const opened = await remaining(() => newDescriptors(descriptors, descriptorsOf()));
  const left = [
    ...processes.map(({ pid, state, command }) => `process ${pid} (${state}) ${command}`),
    ...opened.map((line) => `descriptor ${line}`),
  ];
  return left.length > 0 ? new Error(`left behind:\n${left.join('\n')}`) : null;
}

exports.mochaHooks = {
  async beforeAll() {
    markDescendants();
    // Node opens some descriptors at their first use and keeps them: those of signals, here.
    await once(spawn('true'), 'close');
    atStart = takeStock();
  },

  beforeEach() {
    beforeTest = takeStock();
  },

  async afterEach() {
    const error = await leftSince(beforeTest);
    // The test fails, and the ones behind it still run: a hook that throws would end the whole run.
    if (error) this.test.error(error);
  },

  async afterAll() {
    const error = await leftSince(atStart);
    if (error) throw error;
  },
};
