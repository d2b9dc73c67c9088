'use strict';

// Workers that fork and are terminated, many times.

const assert = require('node:assert/strict');
const { fixture } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { itIsBetter } = require('../helpers/subject');

const WORKER = fixture('forking-worker.js');

describe('fork() in a Worker that is terminated', () => {
  // In processes of their own: the loop that would have reaped the children is gone, so their zombies stay, as in
  // stock, until the whole process ends.
  itIsBetter('survives terminate() while traffic flows, 30 times; each child ends', async () => {
    const { code, signal, stdout, stderr } = await runFunction(
      { with: [WORKER, 30] },
      forkAndTerminate,
    );
    assert.equal(stderr, '');
    assert.deepEqual([code, signal], [0, null]);
    assert.equal(stdout, '30 children have ended\n');
  });

  itIsBetter('survives terminate() in the middle of what the addon does', async () => {
    const { code, signal, stderr } = await runFunction(
      { with: [fixture('addon-worker.js'), 30] },
      terminateInAddon,
    );
    assert.equal(stderr, '');
    assert.deepEqual([code, signal], [0, null]);
  });

  itIsBetter('survives terminate() at any moment of its start', async () => {
    const { code, signal, stderr } = await runFunction({ with: [WORKER, 12] }, terminateEarly);
    assert.equal(stderr, '');
    assert.deepEqual([code, signal], [0, null]);
  });
});

async function forkAndTerminate(file, rounds) {
  const { once } = require('node:events');
  const { Worker } = require('node:worker_threads');
  const { descriptorsOf, newDescriptors } = require('../helpers/descriptors');
  const { until } = require('../helpers/until');
  const workerData = { endless: true, serialization: 'json' };
  let before;
  let ended = 0;
  for (let i = 0; i < rounds; i += 3) {
    workerData.count = 200 + 30 * i;
    const workers = Array.from({ length: 3 }, () => new Worker(file, { workerData }));
    const pids = await Promise.all(
      workers.map(async (worker) => (await once(worker, 'message'))[0]),
    );
    await Promise.all(workers.map((worker) => worker.terminate()));
    // A process that has ended has no descriptors, also when it is a zombie.
    await until(() => pids.every((pid) => descriptorsOf(pid).size === 0));
    ended += pids.length;
    before ??= descriptorsOf();
  }
  await until(() => newDescriptors(before, descriptorsOf()).length === 0);
  console.log(`${ended} children have ended`);
}

async function terminateEarly(file, rounds) {
  const { once } = require('node:events');
  const { Worker } = require('node:worker_threads');
  const { startedProcesses } = require('../helpers/processes');
  const { until } = require('../helpers/until');
  const workerData = { count: 1000, endless: true, serialization: 'json' };
  for (let i = 0; i < rounds; i++) {
    const worker = new Worker(file, { workerData });
    await once(worker, 'online');
    // Some turns of this loop: the other thread is then somewhere between its first line and its first message.
    for (let turn = 0; turn < i * 4; turn++) await new Promise(setImmediate);
    await worker.terminate();
  }
  await until(() => startedProcesses().every(({ state }) => state === 'Z'));
}

/** No descriptor of a channel stays. */
async function terminateInAddon(file, rounds) {
  const assert = require('node:assert/strict');
  const { once } = require('node:events');
  const { readdirSync } = require('node:fs');
  const { setTimeout: wait } = require('node:timers/promises');
  const { Worker } = require('node:worker_threads');
  const countFds = () => readdirSync('/proc/self/fd').length;
  let before;
  for (let i = 0; i <= rounds; i++) {
    const worker = new Worker(file);
    await once(worker, 'message');
    await wait(Math.random() * 8);
    await worker.terminate();
    before ??= countFds(); // with what the first one opened for all
  }
  assert.equal(countFds(), before);
}
