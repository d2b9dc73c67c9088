'use strict';

// Much of everything at once: signals, children that come and go, Workers that are terminated.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { close, connectedPair, listen, textOf } = require('../fixtures/socket-clients');
const { nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { randomFrom } = require('../helpers/random');
const { runFunction } = require('../helpers/run');
const { isLong } = require('../helpers/scale');
const { isStock } = require('../helpers/subject');
const { Tally } = require('../helpers/tally');
const { until } = require('../helpers/until');
const { onEachWire } = require('../helpers/wires');

/** Signals these processes as fast as it can, until one of them is gone. */
function startStorm(pids) {
  const command = `while kill -USR2 ${pids.join(' ')} 2>/dev/null; do :; done`;
  return spawn('sh', ['-c', command], { stdio: 'ignore' });
}

onEachWire('a storm of signals', (channel) => {
  it('interrupts nothing: messages and sockets arrive, in order, and the end comes as ever', async () => {
    let signals = 0;
    const onSignal = () => signals++;
    process.on('SIGUSR2', onSignal);
    const child = forkFunction({ channel }, () => {
      process.on('SIGUSR2', () => {});
      process.on('message', (message, socket) => {
        socket?.end(`answered ${message}`);
        process.send(message);
      });
      process.send('up');
    });
    await nextMessage(child);
    const server = await listen({});
    const pairs = [];
    for (let i = 0; i < 100; i++) pairs.push(await connectedPair(server));
    const storm = startStorm([process.pid, child.pid]);
    const isOver = once(storm, 'exit'); // by itself, when the child is gone
    const tally = new Tally(child);
    const got = [];
    child.on('message', (message) => got.push(message));
    const large = 'x'.repeat(3 << 20);
    const expected = [];
    for (let i = 0; i < 5000; i++) {
      tally.send(i, i % 50 === 0 ? pairs[i / 50][0] : undefined);
      expected.push(i);
    }
    tally.send(large);
    const texts = await Promise.all(pairs.map(([, client]) => textOf(client)));
    await until(() => got.length === 5001, '5001 answers');
    assert.ok(got.pop() === large);
    assert.deepEqual(got, expected);
    assert.deepEqual(
      texts,
      pairs.map((_, i) => `answered ${i * 50}`),
    );
    child.disconnect();
    await tally.ended(20_000);
    storm.kill('SIGKILL');
    await isOver;
    process.removeListener('SIGUSR2', onSignal);
    tally.checkEnd();
    assert.deepEqual([tally.failed, tally.returned], [0, 0]);
    assert.ok(signals > 10, `${signals} signals`);
    await close(server);
  });
});

/** Echoes, and ends as it is told. */
function echoUntilEnd() {
  process.on('message', (message, socket) => {
    if (socket) socket.end(`answered ${message}`);
    else if (message === 'exit') process.exit(0);
    else if (message === 'disconnect') process.disconnect();
    else process.send(message);
  });
}

const ENDINGS = {
  exit: (child) => child.tally.send('exit'),
  disconnect: (child) => child.tally.send('disconnect'),
  'disconnect here': (child) => child.disconnect(),
  kill: (child) => child.kill('SIGKILL'),
  terminate: (child) => child.kill('SIGTERM'),
};

/** The whole life of one child: what it was sent is answered, and it ends in one way or another. */
async function live(channel, ending) {
  const server = await listen({});
  const child = forkFunction({ channel }, echoUntilEnd);
  const tally = new Tally(child, (_message, socket) => socket.destroy());
  child.tally = tally;
  const got = [];
  child.on('message', (message) => got.push(message));
  const [socket, client] = await connectedPair(server);
  const answer = textOf(client);
  for (let i = 0; i < 20; i++) tally.send(i);
  tally.send('socket', socket);
  assert.equal(await answer, 'answered socket');
  await until(() => got.length === 20, '20 answers');
  ENDINGS[ending](child);
  await tally.ended(30_000);
  tally.checkEnd();
  await close(server);
}

const [AT_ONCE, LIVES] = isLong ? [200, 600] : [12, 36];

onEachWire(`${AT_ONCE} children at a time, ${LIVES} in all`, (channel) => {
  it('come and go in every way: each gets and gives what it should, and nothing of them stays', async function () {
    this.timeout(300_000);
    const random = randomFrom(1);
    const ways = Object.keys(ENDINGS);
    let started = 0;
    const run = async () => {
      while (started < LIVES) {
        started++;
        await live(channel, ways[Math.floor(random() * ways.length)]);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, run));
  });
});

const WORKER = path.join(__dirname, '../fixtures/storming-worker.js');
const N_WORKERS = isLong ? 300 : 24;

/** In a process of its own: libuv leaves a child of a terminated Worker to be reaped with the process. */
async function stormOfWorkers(file, channel, count, seed) {
  const { once } = require('node:events');
  const { setTimeout: wait } = require('node:timers/promises');
  const { Worker } = require('node:worker_threads');
  const { startedProcesses } = require('../helpers/processes');
  const { randomFrom } = require('../helpers/random');
  const { until } = require('../helpers/until');
  const random = randomFrom(seed);
  const start = () => new Worker(file, { workerData: { channel } });
  for (let i = 0; i < count; i += 4) {
    const workers = Array.from({ length: 4 }, start);
    const ends = workers.map((worker) => once(worker, 'exit'));
    await wait(random() * 200);
    for (const worker of workers) worker.terminate();
    await Promise.all(ends);
  }
  await until(() => startedProcesses().every(({ state }) => state === 'Z'));
}

onEachWire(`${N_WORKERS} Workers that are terminated at random moments`, (channel) => {
  if (isStock) return; // of forkwire's addon
  it('with traffic of messages and sockets take nothing with them: their children end', async function () {
    this.timeout(300_000);
    const seed = isLong ? Date.now() : 1;
    const given = [WORKER, channel, N_WORKERS, seed];
    const { code, signal, stderr } = await runFunction({ with: given }, stormOfWorkers);
    assert.equal(stderr, '');
    assert.deepEqual([code, signal], [0, null]);
  });
});
