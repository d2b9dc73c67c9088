'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Worker } = require('node:worker_threads');
const { exited, nextMessage } = require('../helpers/events');
const { fixture, forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { itIsBetter } = require('../helpers/subject');

const WORKER = fixture('forking-worker.js');

function startWorker(workerData) {
  return new Worker(WORKER, {
    workerData: { serialization: 'json', endless: false, ...workerData },
  });
}

async function reportOf(worker) {
  const [[report], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  assert.equal(code, 0);
  return report;
}

describe('fork() in a Worker', () => {
  // Stock emits no 'close' after disconnect(), which the fixture waits for.
  itIsBetter('exchanges messages with its child', async () => {
    for (const serialization of ['json', 'advanced']) {
      const report = await reportOf(startWorker({ count: 3000, serialization }));
      assert.deepEqual(report, { received: 3000, inOrder: true, code: 0, protocol: undefined });
    }
  });

  itIsBetter('works in several at once, and beside the main thread', async () => {
    const child = forkFixture('echo.js');
    const workers = Array.from({ length: 4 }, () => startWorker({ count: 1000 }));
    child.send('main');
    const reports = await Promise.all(workers.map(reportOf));
    assert.deepEqual(
      reports.map(({ received, inOrder }) => [received, inOrder]),
      Array(4).fill([1000, true]),
    );
    if (!child.connected) assert.fail('the channel of the main thread was ended');
    const answer = nextMessage(child);
    child.send('still there');
    await answer;
    child.disconnect();
    await exited(child);
  });

  itIsBetter('uses the native wire', async () => {
    const code = `
      const { forkFixture } = require(${JSON.stringify(require.resolve('../helpers/fork-fixture'))});
      const { parentPort } = require('node:worker_threads');
      const child = forkFixture('idle.js');
      parentPort.postMessage(child.channel.protocol);
      child.disconnect();`;
    const worker = new Worker(code, { eval: true });
    const [[protocol]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    assert.equal(protocol, 'native');
  });

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

  itIsBetter('survives process.exit() of the main thread while traffic flows', async () => {
    const { code, stderr } = await runFunction({ with: [WORKER] }, (file) => {
      const { Worker } = require('node:worker_threads');
      const workerData = { count: 500, endless: true, serialization: 'json' };
      const worker = new Worker(file, { workerData });
      worker.once('message', () => process.exit(3));
    });
    assert.equal(stderr, '');
    assert.equal(code, 3);
  });

  it("leaves an 'exit' inside the Worker with its messages delivered", async () => {
    const child = forkFunction(() => {
      const { Worker } = require('node:worker_threads');
      const helper = require.resolve('../helpers/fork-fixture');
      const code = `
        const { forkFunction } = require(${JSON.stringify(helper)});
        const child = forkFunction(() => {
          let size = 0;
          process.on('message', ({ length }) => { size += length; });
          process.on('disconnect', () => { process.exitCode = size === 65536 ? 7 : 1; });
        });
        child.on('exit', (code) => { require('node:worker_threads').parentPort.postMessage(code); });
        child.send('x'.repeat(65536), () => child.disconnect());`;
      new Worker(code, { eval: true }).on('message', (exitCode) => process.send(exitCode));
    });
    assert.equal(await nextMessage(child), 7);
    await exited(child);
  });

  itIsBetter('delivers what it sent before process.exit() in the Worker', async () => {
    const { stdout, code } = await runFunction(() => {
      const { Worker } = require('node:worker_threads');
      const helper = require.resolve('../helpers/fork-fixture');
      const source = `
        const { forkFunction } = require(${JSON.stringify(helper)});
        const child = forkFunction(() => {
          process.on('message', ({ length }) => console.log(length));
        });
        child.send('x'.repeat(8388608));
        process.exit(0);`;
      new Worker(source, { eval: true });
    });
    assert.equal(stdout, '8388608\n');
    assert.equal(code, 0);
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
