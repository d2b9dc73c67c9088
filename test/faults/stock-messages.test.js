'use strict';

// What stock Node gets wrong with messages and ends, row by row of the list in docs/guarantees.md. Each of these tests
// fails on stock: `npm run test:faults -- --stock` shows it.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { connectedPair, close, listen } = require('../fixtures/socket-clients');
const { nextMessage } = require('../helpers/events');
const { fixture, forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { stop } = require('../helpers/stopped');
const { fork } = require('../helpers/subject');
const { Tally } = require('../helpers/tally');
const { until } = require('../helpers/until');
const { onEachWire } = require('../helpers/wires');

const MB = 1 << 20;

// On a busy machine the other end may not run for longer than the half second that is the default.
const PATIENT = { exitFlush: { stall: 15_000, total: 30_000 } };

/** Counts what comes, and says at its end how much that was. */
function count() {
  let messages = 0;
  let bytes = 0;
  process.on('message', (message) => {
    messages++;
    bytes += message.length ?? 0;
  });
  process.on('disconnect', () => console.log(JSON.stringify({ messages, bytes })));
  process.send('up');
}

async function startCounting(channel) {
  const child = forkFunction({ channel, silent: true }, count);
  child.said = once(child.stdout, 'data').then(([text]) => JSON.parse(text));
  await nextMessage(child);
  return child;
}

onEachWire('stock faults, messages and ends:', (channel) => {
  // Of a child that is stock Node this cannot be had.
  const ofOurChild = channel === 'node' ? it.skip : it;

  for (const [what, number, size] of [
    ['100000 small messages', 100_000, 0],
    ['1 MB', 1, MB],
  ]) {
    ofOurChild(`process.send() and process.exit(): ${what}`, async () => {
      const child = forkFunction({ channel, ...PATIENT, with: [number, size] }, (total, length) => {
        for (let i = 0; i < total; i++) process.send(length ? 'x'.repeat(length) : i);
        process.exit();
      });
      let messages = 0;
      let bytes = 0;
      child.on('message', (message) => {
        messages++;
        bytes += message.length ?? 0;
      });
      await once(child, 'close');
      assert.deepEqual([messages, bytes], [number, number * size]);
    });
  }

  it('disconnect() with 100000 messages queued', async () => {
    const child = await startCounting(channel);
    const tally = new Tally(child);
    for (let i = 0; i < 100_000; i++) tally.send(`message ${i}`);
    child.disconnect();
    assert.equal((await child.said).messages, 100_000);
    await tally.ended();
    tally.checkEnd();
    assert.equal(tally.failed, 0);
  });

  it('a child is killed during a write of 50 MB', async () => {
    const child = await startCounting(channel);
    const tally = new Tally(child);
    stop(child);
    tally.send('x'.repeat(50 * MB));
    child.kill('SIGKILL');
    await tally.ended();
    tally.checkEnd();
    assert.equal(tally.failed, 1);
  });

  it('1000 sends to a child that dies: the callbacks of what did not leave', async () => {
    const child = await startCounting(channel);
    const tally = new Tally(child);
    stop(child);
    for (let i = 0; i < 1000; i++) tally.send(`message ${i}`.padEnd(10_000));
    child.kill('SIGKILL');
    await tally.ended();
    tally.checkEnd();
    const outcomes = tally.sent.map(({ callbacks: [error] }) => error?.code ?? null);
    const firstFailure = outcomes.indexOf('EPIPE');
    assert.ok(firstFailure >= 0 && firstFailure < 500, `the first failure is ${firstFailure}`);
    assert.ok(outcomes.slice(firstFailure).every((code) => code === 'EPIPE'));
  });

  it('a child exits with 10 handles queued', async () => {
    const child = forkFunction({ channel }, () => {
      process.once('message', () => process.exit());
      process.send('up');
    });
    await nextMessage(child);
    const server = await listen({});
    const pairs = [];
    for (let i = 0; i < 10; i++) pairs.push(await connectedPair(server));
    const tally = new Tally(child, (_message, socket) => socket.destroy());
    for (let i = 0; i < 110; i++)
      tally.send(`message ${i}`, i % 11 === 10 ? pairs[(i - 10) / 11][0] : undefined);
    await tally.ended();
    tally.checkEnd();
    for (const [, client] of pairs) client.destroy();
    await close(server);
  });

  it("'close' after the parent's own disconnect()", async () => {
    const child = await startCounting(channel);
    const tally = new Tally(child);
    child.disconnect();
    await tally.ended();
    tally.checkEnd();
  });

  it('a message is half read at disconnect()', async () => {
    const child = forkFunction({ channel, with: [20 * MB] }, (length) => {
      process.on('message', () => {});
      process.send('up');
      process.send('x'.repeat(length), () => {});
    });
    await nextMessage(child);
    const tally = new Tally(child);
    // The child fills the socket and waits; then it is stopped, so that the rest does not come.
    const end = performance.now() + 300;
    while (performance.now() < end);
    stop(child);
    await wait(50);
    child.disconnect();
    await until(() => tally.ends.length > 0, "'disconnect' comes", 2000);
    child.kill('SIGKILL');
    await tally.ended();
    tally.checkEnd();
  });

  it('a million messages to a stopped child', async () => {
    const { stdout } = await runFunction(
      { with: [{ channel }], nodeArgs: ['--expose-gc'] },
      (options) => {
        const { forkFunction } = require('../helpers/fork-fixture');
        const { stop } = require('../helpers/stopped');
        const child = forkFunction({ ...options }, () => {
          process.on('message', () => {});
          process.send('up');
        });
        child.once('message', () => {
          stop(child);
          globalThis.gc();
          const before = process.memoryUsage.rss();
          for (let i = 0; i < 1e6; i++)
            child.send({ number: i, text: 'a small message of 60 bytes' });
          globalThis.gc();
          console.log((process.memoryUsage.rss() - before) / 1e6);
          child.kill('SIGKILL');
        });
      },
    );
    assert.ok(Number(stdout) > 0 && Number(stdout) < 300, `${stdout.trim()} bytes each`);
  });

  it('toJSON() gives undefined', async () => {
    const child = fork(fixture('echo.js'), { channel });
    const answer = nextMessage(child);
    assert.throws(() => child.send({ toJSON: () => undefined }), {
      code: 'ERR_FORKWIRE_EMPTY_MESSAGE',
    });
    child.send('still here');
    assert.equal(await answer, 'still here');
    child.disconnect();
    await once(child, 'close');
  });
});
