'use strict';

// Peers that read slowly, or not at all, and peers that send without end: nobody else suffers.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { close, connectedPair, listen, textOf } = require('../fixtures/socket-clients');
const { nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { isLong } = require('../helpers/scale');
const { resume, stop } = require('../helpers/stopped');
const { Tally } = require('../helpers/tally');
const { until } = require('../helpers/until');
const { onEachWire } = require('../helpers/wires');

const isSanitized = process.env.ASAN_OPTIONS !== undefined; // it keeps what was freed, and is slow

/** Sends `count` messages to a stopped child, has it go on, and prints what that took. */
function floodStopped(options, count) {
  const { forkFunction } = require('../helpers/fork-fixture');
  const { resume, stop } = require('../helpers/stopped');
  const child = forkFunction({ ...options, with: [count] }, (total) => {
    let got = 0;
    process.on('message', ({ number }) => {
      if (number !== got) process.exit(1);
      if (++got === total) process.send('all');
    });
    process.send('up');
  });
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const rss = () => {
    globalThis.gc();
    return process.memoryUsage.rss();
  };
  const result = { falses: 0, drains: 0, slowest: 0 };
  child.on('drain', () => result.drains++);

  function send(sent, before) {
    const start = cpu();
    for (let i = 0; i < 1000; i++) {
      if (!child.send({ number: sent + i, text: 'a message of 60 bytes' })) result.falses++;
    }
    result.slowest = Math.max(result.slowest, cpu() - start);
    if (sent + 1000 < count) setImmediate(send, sent + 1000, before);
    else queued(before);
  }

  function queued(before) {
    result.bytesEach = (rss() - before) / count;
    const start = cpu();
    setTimeout(() => {
      result.idle = cpu() - start;
      resume(child);
      child.once('message', (message) => arrived(message, before));
    }, 500);
  }

  function arrived(message, before) {
    result.message = message;
    result.bytesKept = (rss() - before) / count;
    child.disconnect();
    child.once('exit', (code) => {
      result.code = code;
      console.log(JSON.stringify(result));
    });
  }

  child.once('message', () => {
    stop(child);
    send(0, rss());
  });
}

onEachWire('a stopped child', (channel) => {
  const count = isLong ? 1_000_000 : 200_000;

  it(`costs the sender of ${count} messages at most 300 bytes each and no time; they arrive in order`, async () => {
    const { stdout, stderr } = await runFunction(
      { with: [{ channel }, count], nodeArgs: ['--expose-gc'] },
      floodStopped,
    );
    assert.equal(stderr, '');
    const result = JSON.parse(stdout);
    const { message, code, drains } = result;
    assert.deepEqual({ message, code, drains }, { message: 'all', code: 0, drains: 1 });
    assert.ok(result.falses > count * 0.8, `${result.falses} returned false`);
    if (isSanitized) return;
    assert.ok(result.bytesEach < 300, `${result.bytesEach} bytes each`);
    assert.ok(result.bytesKept < 60, `${result.bytesKept} bytes each are kept afterwards`);
    assert.ok(result.slowest < 100, `1000 sends took ${result.slowest} ms`);
    assert.ok(result.idle < 100, `waiting took ${result.idle} of 500 ms`);
  });

  it('that gets 500 handles answers each, in order, when it goes on', async () => {
    const child = forkFunction({ channel }, () => {
      process.on('message', (message, socket) => {
        socket?.end(`answered ${message}`);
        process.send(message);
      });
      process.send('up');
    });
    await nextMessage(child);
    const server = await listen({});
    const pairs = [];
    for (let i = 0; i < 500; i++) pairs.push(await connectedPair(server));
    const got = [];
    const tally = new Tally(child);
    stop(child);
    child.on('message', (message) => got.push(message));
    for (const [i, [socket]] of pairs.entries()) {
      tally.send(i, socket);
      tally.send(`behind ${i}`);
    }
    await wait(200);
    resume(child);
    const texts = await Promise.all(pairs.map(([, client]) => textOf(client)));
    assert.deepEqual(
      texts,
      pairs.map((_, i) => `answered ${i}`),
    );
    await until(() => got.length === 1000, '1000 answers');
    assert.deepEqual(
      got,
      pairs.flatMap((_, i) => [i, `behind ${i}`]),
    );
    child.disconnect();
    await tally.ended();
    tally.checkEnd();
    assert.deepEqual([tally.failed, tally.returned], [0, 0]);
    await close(server);
  });
});

/** Sends as fast as it can, from 'go' to 'stop'. */
function flood() {
  const message = { text: 'a small message of some sixty bytes' };
  let isFlooding = false;
  const send = () => {
    if (!isFlooding) return;
    for (let i = 0; i < 500; i++) {
      if (process.send(message)) continue;
      process.once('drain', send);
      return;
    }
    setImmediate(send);
  };
  process.on('message', (word) => {
    isFlooding = word === 'go';
    send();
  });
}

/** Resolves with the ms that a message and its echo take. */
async function roundTrip(child, now) {
  const start = now();
  child.send('ping');
  await once(child, 'message');
  return now() - start;
}

/** The 99th percentile of `rounds` in which all children are asked at once. */
async function p99(children, rounds, now) {
  const all = [];
  for (let i = 0; i < rounds; i++) {
    all.push(...(await Promise.all(children.map((child) => roundTrip(child, now)))));
  }
  all.sort((a, b) => a - b);
  return all[Math.floor(all.length * 0.99)];
}

onEachWire('a channel that is flooded', (channel) => {
  if (channel === 'node') return; // that its stock child sends on and on is Node's affair

  it('leaves the others their turn: the work of one wake-up is limited', async () => {
    const child = forkFunction({ channel }, flood);
    let noise = 0;
    let most = 0;
    child.on('message', () => noise++);
    child.send('go');
    await until(() => noise > 0);
    for (let turn = 0; turn < 300; turn++) {
      await new Promise(setImmediate);
      most = Math.max(most, noise);
      noise = 0;
    }
    // What the first read of 64 KiB holds, and 256; twice, for a turn can have two ends of what it polls.
    assert.ok(most > 0 && most < 2500, `${most} messages in one turn`);
    child.kill('SIGKILL');
    await once(child, 'close');
  });

  // In ms of CPU time of this process: what others do on this machine does not count.
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };

  if (!isLong) return; // fifty processes

  it('leaves fifty quiet ones their latency: the p99 stays within twice that without it', async function () {
    this.timeout(180_000);
    const quiet = Array.from({ length: 50 }, () =>
      forkFunction({ channel }, () => process.on('message', (message) => process.send(message))),
    );
    const noisy = forkFunction({ channel }, flood);
    noisy.on('message', () => {});
    await p99(quiet, 20, cpu);
    const ratios = [];
    for (let round = 0; round < 5; round++) {
      const before = await p99(quiet, 30, cpu);
      noisy.send('go');
      await wait(100);
      ratios.push((await p99(quiet, 30, cpu)) / before);
      noisy.send('stop');
      await wait(100);
    }
    for (const child of [...quiet, noisy]) child.kill('SIGKILL');
    await Promise.all([...quiet, noisy].map((child) => once(child, 'close')));
    const median = ratios.sort((a, b) => a - b)[2];
    assert.ok(median < 2, `${ratios.map((ratio) => ratio.toFixed(1))} times`);
  });
});
