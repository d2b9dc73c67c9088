'use strict';

const assert = require('node:assert/strict');
const { runBoth } = require('../helpers/both');
const { runCluster } = require('../helpers/cluster');
const { exited } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { itInLong, some } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

// A process that has nothing left to do but to hand over what it sent does so, and ends, though nobody listens.

const KB = 1024;
const MB = 1024 * KB;
const COUNT = 24; // messages of a MB: more than the credit

/** Its child sends more than the credit to a parent that listens once, and ends in the way that is asked for. */
function program(count, size, way) {
  const { fork } = require('node:child_process');
  const child = fork(
    process.argv[1],
    [
      ((number, length, how) => {
        const { writeSync } = require('node:fs');
        let called = 0;
        let errors = 0;
        const onWritten = (error) => {
          called++;
          if (error) errors++;
          if (how === 'exit in the last callback' && called === number) process.exit(7);
        };
        for (let i = 0; i < number; i++) process.send('x'.repeat(length), onWritten);
        process.on('exit', () => writeSync(1, `callbacks ${called}, errors ${errors}\n`));
        if (how === 'disconnect()') process.disconnect();
        if (how === 'disconnect() with listeners') {
          process.on('message', () => {});
          setImmediate(() => process.disconnect());
        }
      }).toString(),
      JSON.stringify([count, size, way]),
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  child.once('message', () => {});
  child.on('disconnect', () => console.log('disconnect'));
  child.on('exit', (code) => console.log('exit', code));
}

describe('a child that sent more than the credit to a parent that does not listen any more', () => {
  for (const way of [
    'no other work',
    'exit in the last callback',
    'disconnect()',
    'disconnect() with listeners',
  ]) {
    const itEnds = way === 'exit in the last callback' ? it : itInLong;
    itEnds(`ends as on stock, and its callbacks are called: ${way}`, async () => {
      const start = performance.now();
      const { stock, ours } = await runBoth(program, [COUNT, MB, way]);
      assert.equal(ours.stderr, '');
      assert.deepEqual(ours.stdout.split('\n').sort(), stock.stdout.split('\n').sort());
      assert.match(ours.stdout, new RegExp(`^callbacks ${COUNT}, errors 0$`, 'm'));
      assert.equal(ours.code, stock.code);
      assert.ok(performance.now() - start < 60_000);
    });
  }

  itIsBetter('calls the callbacks also where process.exit() writes what is left', async () => {
    const limits = { exitFlush: { stall: 15_000, total: 30_000 } };
    const child = forkFunction({ ...limits, with: [COUNT, MB] }, (count, size) => {
      let called = 0;
      process.on('message', () => {}); // it has more to do
      for (let i = 0; i < count; i++) process.send('x'.repeat(size), () => called++);
      process.on('exit', () => {
        process.exitCode = called;
      });
      setTimeout(() => process.exit(), 100);
    });
    child.once('message', () => {});
    assert.deepEqual(await exited(child), { code: COUNT, signal: null });
  }).timeout(60_000);

  itIsBetter('hands all of it to a listener that comes when the child is gone', async () => {
    const child = forkFunction({ with: [COUNT, MB] }, (count, size) => {
      for (let i = 0; i < count; i++) process.send({ i, text: 'x'.repeat(size) });
    });
    child.once('message', () => {});
    await exited(child);
    const seen = [];
    child.on('message', ({ i }) => seen.push(i));
    await until(() => seen.length === COUNT - 1);
    assert.deepEqual(
      seen,
      Array.from({ length: COUNT - 1 }, (_, i) => i + 1),
    );
  }).timeout(60_000);
});

describe("a 'beforeExit' listener", () => {
  /** Prints how often it was called in a child that sends `count` messages in each call. */
  function burst(count) {
    const { fork } = require('node:child_process');
    const child = fork(
      process.argv[1],
      [
        ((number) => {
          let calls = 0;
          process.on('beforeExit', () => {
            calls++;
            if (calls > 30) process.exit(1);
            for (let i = 0; i < number; i++) process.send({ i });
          });
          process.on('exit', () => require('node:fs').writeSync(1, `calls ${calls}\n`));
        }).toString(),
        JSON.stringify([count]),
      ],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    let received = 0;
    child.on('message', () => received++);
    child.on('close', (code) => console.log('code', code, 'received', received));
  }

  for (const count of some([1, 5, 100], -1)) {
    it(`that sends ${count} messages is called once`, async () => {
      const { stock, ours } = await runBoth(burst, [count]);
      assert.equal(ours.stdout, `calls 1\ncode 0 received ${count}\n`);
      assert.equal(ours.stdout, stock.stdout);
    });
  }
});

describe('what ends the channel of a cluster worker comes behind 50 MB that were sent before', () => {
  /** Prints what the callbacks said; the worker says how much it got. */
  function primary(setUp, way, size) {
    const cluster = require('node:cluster');
    setUp();
    const worker = cluster.fork();
    const outcomes = { called: 0, errors: 0 };
    let got;
    worker.on('message', (message) => {
      got = message;
    });
    worker.on('online', () => {
      for (let i = 0; i < 200; i++) {
        worker.send('x'.repeat(size), (error) => {
          outcomes.called++;
          if (error) outcomes.errors++;
        });
      }
      if (way === 'worker.disconnect() there') worker.send('go');
      else if (way === 'cluster.disconnect()') cluster.disconnect();
      else worker.disconnect();
    });
    worker.on('exit', (code) => console.log(JSON.stringify({ ...outcomes, code, got })));
  }

  function worker(way) {
    if (way === 'worker.disconnect() without a listener') return;
    const cluster = require('node:cluster');
    let got = 0;
    process.on('message', () => {
      got++;
      if (got === 1 && way === 'worker.disconnect() there') {
        cluster.worker.disconnect();
      }
      if (got < 40) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    });
    process.on('exit', () => {
      process.exitCode = got === (way === 'worker.disconnect() there' ? 201 : 200) ? 0 : 1;
    });
  }

  const ways = [
    'worker.disconnect()',
    'cluster.disconnect()',
    'worker.disconnect() there',
    'worker.disconnect() without a listener',
  ];
  for (const way of some(ways, 2)) {
    it(way, async () => {
      const report = await runCluster(primary, worker, way, 256 * KB);
      assert.deepEqual(report, { called: 200, errors: 0, code: 0 });
    });
  }
});
