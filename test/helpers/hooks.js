'use strict';

// After every test: no process is left that it started, and this process has no descriptor that it did not have
// before. Closes are asynchronous, so both are waited for, a short time. What a before() of a file opened may stay
// until its after(); at the end of the run nothing may, and then this process has to end by itself.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { descriptorsOf, newDescriptors } = require('./descriptors');
const { commandOf, markDescendants, startedProcesses } = require('./processes');
const { until } = require('./until');

const LIMIT_MS = 20_000;

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
  const lines = processes.map(({ pid, state }) => `process ${pid} (${state}) ${commandOf(pid)}`);
  processes.forEach(kill);
  const opened = await remaining(() => newDescriptors(descriptors, descriptorsOf()));
  const left = [...lines, ...opened.map((line) => `descriptor ${line}`)];
  return left.length > 0 ? new Error(`left behind:\n${left.join('\n')}`) : null;
}

/** Has a process that does not end by itself end, and fail: a timer that holds nothing sees what else holds it. */
function watchEnd() {
  const onLate = () => {
    const held = process.getActiveResourcesInfo().join(', ');
    process.stderr.write(`left behind: this process does not end, since it is held by ${held}\n`);
    // Mocha sets the code in such a listener as well, an earlier one.
    process.on('exit', () => {
      process.exitCode ||= 1;
    });
    process.exit();
  };
  setTimeout(onLate, LIMIT_MS).unref();
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
    watchEnd();
    if (error) throw error;
  },
};
