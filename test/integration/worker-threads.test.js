'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Worker } = require('node:worker_threads');
const { exited, nextMessage } = require('../helpers/events');
const { fixture, forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { run, runFunction } = require('../helpers/run');
const { isLong, some } = require('../helpers/scale');
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

const N = isLong ? 4 : 2;

describe('fork() in a Worker', () => {
  // Stock emits no 'close' after disconnect(), which the fixture waits for.
  itIsBetter('exchanges messages with its child', async () => {
    for (const serialization of some(['json', 'advanced'], 1)) {
      const report = await reportOf(startWorker({ count: 3000, serialization }));
      assert.deepEqual(report, { received: 3000, inOrder: true, code: 0, protocol: undefined });
    }
  });

  itIsBetter('works in several at once, and beside the main thread', async () => {
    const child = forkFixture('echo.js');
    const workers = Array.from({ length: N }, () => startWorker({ count: 1000 }));
    child.send('main');
    const reports = await Promise.all(workers.map(reportOf));
    assert.deepEqual(
      reports.map(({ received, inOrder }) => [received, inOrder]),
      Array(N).fill([1000, true]),
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
        // On a busy machine the child may not read for longer than the half second that is the default.
        const child = forkFunction({ exitFlush: { stall: 15_000, total: 30_000 } }, () => {
          process.on('message', ({ length }) => console.log(length));
        });
        child.send('x'.repeat(8388608));
        process.exit(0);`;
      new Worker(source, { eval: true });
    });
    assert.equal(stdout, '8388608\n');
    assert.equal(code, 0);
  });

  itIsBetter('sends no descriptor of another thread when it is terminated', async () => {
    const { stdout } = await run(process.execPath, [
      fixture('terminations.js'),
      ...(isLong ? ['2', '2'] : ['1', '2']),
    ]);
    const { count, foreign } = JSON.parse(stdout);
    assert.deepEqual(foreign, []);
    assert.ok(count > 0, 'nothing was sent');
  });
});
