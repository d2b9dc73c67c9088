'use strict';

// A listener that has the event loop turn, and waits for what that brings: packages like deasync do it to make asynchronous calls
// synchronous, and run ticks as well. Messages are delivered meanwhile, in order, within that listener.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { exited, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { isStock, itIsBetter } = require('../helpers/subject');
const { buildAddon } = require('../helpers/build-addon');
const { onEachWire } = require('../helpers/wires');

/** Notes each message { n, waitsFor }, and returns from its listener once message `waitsFor` was entered. Reports at the last. */
function waitWithin(binary, hasTicks, last) {
  const { turn } = require(binary);
  const entered = [];
  const left = [];
  const has = (n) => entered.includes(n);
  process.on('message', ({ n, waitsFor }) => {
    entered.push(n);
    while (waitsFor !== undefined && !has(waitsFor)) {
      if (hasTicks) process._tickCallback();
      if (!has(waitsFor)) turn();
    }
    left.push(n);
    if (left.length === last) process.send({ entered, left });
  });
  process.on('disconnect', () => process.exit());
  process.send('ready');
}

const upTo = (count) => Array.from({ length: count }, (_, i) => i + 1);

async function forkWaiting(binary, hasTicks, last, options) {
  const child = forkFunction({ ...options, with: [binary, hasTicks, last] }, waitWithin);
  await nextMessage(child);
  return child;
}

async function end(child) {
  child.disconnect();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

let binary;

before(() => {
  binary = buildAddon('turn/turn_addon.c', 'turn-test/turn');
});

onEachWire('a listener that has the loop turn', (channel) => {
  const kinds = [
    ['json', {}],
    ['advanced', { serialization: 'advanced' }],
    ["latency: 'low'", { latency: 'low' }],
  ];
  for (const [name, options] of kinds) {
    it(`gets the messages that were read together with its own (${name})`, async () => {
      const child = await forkWaiting(binary, true, 50, { ...options, channel });
      for (const n of upTo(50)) child.send({ n, waitsFor: n < 50 ? n + 1 : undefined });
      const { entered, left } = await nextMessage(child);
      assert.deepEqual(entered, upTo(50));
      assert.deepEqual(left, upTo(50).reverse(), 'each was entered within the one before');
      await end(child);
    });

    it(`gets messages that are sent only later (${name})`, async () => {
      const child = await forkWaiting(binary, true, 3, { ...options, channel });
      child.send({ n: 1, waitsFor: 3 });
      child.send({ n: 2 });
      setTimeout(() => child.send({ n: 3 }), 50);
      const { entered, left } = await nextMessage(child);
      assert.deepEqual(entered, [1, 2, 3]);
      assert.deepEqual(left, [2, 3, 1]);
      await end(child);
    });
  }

  const itWithoutTicks = channel === 'node' ? it.skip : itIsBetter; // the child is stock Node itself
  itWithoutTicks('gets them also when it runs no ticks', async () => {
    const child = await forkWaiting(binary, false, 20, { channel });
    for (const n of upTo(19)) child.send({ n, waitsFor: n + 1 });
    setTimeout(() => child.send({ n: 20 }), 20);
    const { entered, left } = await nextMessage(child);
    assert.deepEqual(entered, upTo(20));
    assert.deepEqual(left, upTo(20).reverse());
    await end(child);
  });

  it('gets more than the credit, large messages and small ones', async () => {
    function receive(file) {
      const { turn } = require(file);
      let count = 0;
      let isOrdered = true;
      process.on('message', ({ n }) => {
        isOrdered &&= n === count;
        if (count++ > 0) return;
        while (count < 3001) {
          process._tickCallback();
          if (count < 3001) turn();
        }
        process.send({ isOrdered, count });
      });
      process.on('disconnect', () => process.exit());
      process.send('ready');
    }
    const child = forkFunction({ with: [binary], channel }, receive);
    await nextMessage(child);
    const large = 'x'.repeat(300_000);
    for (let n = 0; n <= 3000; n++) child.send({ n, text: n % 30 === 0 ? large : 'small' });
    assert.deepEqual(await nextMessage(child), { isOrdered: true, count: 3001 });
    await end(child);
  });

  it('asks its parent and gets the answer, within answers', async () => {
    function compute(file) {
      const { turn } = require(file);
      const replies = new Map();
      let id = 0;
      const ask = (value) => {
        const mine = ++id;
        process.send({ ask: mine, value });
        while (!replies.has(mine)) {
          process._tickCallback();
          if (!replies.has(mine)) turn();
        }
        return replies.get(mine);
      };
      process.on('message', ({ reply, value, count }) => {
        if (reply) {
          replies.set(reply, value);
          return;
        }
        let sum = 0;
        for (let i = 0; i < count; i++) sum += ask(i);
        process.send({ count, sum });
      });
      process.on('disconnect', () => process.exit());
    }
    const child = forkFunction({ with: [binary], channel }, compute);
    const sums = new Promise((resolve) => {
      const results = [];
      child.on('message', ({ ask, value, count, sum }) => {
        if (ask) child.send({ reply: ask, value: value * 2 });
        else if (results.push([count, sum]) === 30) resolve(results);
      });
    });
    for (let i = 0; i < 30; i++) child.send({ count: i % 5 });
    for (const [count, sum] of await sums) assert.equal(sum, count * (count - 1) + 0);
    await end(child);
  });

  it('gets a socket, and the messages behind it', async () => {
    function receive(file) {
      const { turn } = require(file);
      const order = [];
      process.on('message', ({ n }, socket) => {
        order.push(socket ? `${n} with a socket` : n);
        socket?.end('hello');
        if (n > 1) return;
        while (order.length < 4) {
          process._tickCallback();
          if (order.length < 4) turn();
        }
        process.send(order);
      });
      process.on('disconnect', () => process.exit());
      process.send('ready');
    }
    const child = forkFunction({ with: [binary], channel }, receive);
    await nextMessage(child);
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = net.connect(server.address().port, '127.0.0.1');
    const [socket] = await once(server, 'connection');
    child.send({ n: 1 });
    child.send({ n: 2 }, socket);
    child.send({ n: 3 });
    child.send({ n: 4 });
    assert.deepEqual(await nextMessage(child), [1, '2 with a socket', 3, 4]);
    assert.equal(String((await once(client, 'data'))[0]), 'hello');
    client.destroy();
    server.close();
    await end(child);
  });

  it('sees its channel end, and close, and goes on', async () => {
    function disconnectWithin(file) {
      const { turn } = require(file);
      const events = [];
      process.on('disconnect', () => events.push('disconnect'));
      process.on('message', (message) => {
        events.push(message);
        if (message !== 'go') return;
        process.send('last');
        process.disconnect();
        let turns = 0;
        setInterval(() => turns++, 1);
        while (!events.includes('disconnect') || turns < 20) {
          process._tickCallback();
          turn();
        }
        globalThis.gc();
        process.exitCode = events.join() === 'go,disconnect' ? 7 : 8;
        setImmediate(() => process.exit());
      });
    }
    const execArgv = ['--expose-gc'];
    const child = forkFunction({ with: [binary], channel, execArgv }, disconnectWithin);
    const message = nextMessage(child);
    child.send('go');
    assert.equal(await message, 'last');
    assert.deepEqual(await exited(child), { code: 7, signal: null });
  });
});

/** A program that forks, as forkwire's user or stock's. */
const subject = isStock ? 'node:child_process' : '../..';

describe('a parent whose listener has the loop turn', () => {
  it('sees a child die there, with all that it sent', async () => {
    function parent(file, name) {
      const { turn } = require(file);
      const { fork } = require(name);
      if (process.send) {
        for (let i = 0; i < 1000; i++) process.send(i);
        process.send('last', () => process.kill(process.pid, 'SIGKILL'));
        return;
      }
      const child = fork(process.argv[1], process.argv.slice(2));
      const seen = [];
      child.on('exit', (_, signal) => seen.push(signal));
      child.on('disconnect', () => seen.push('disconnect'));
      child.on('close', () => seen.push('close'));
      child.on('message', (message) => {
        seen.push(message);
        if (message !== 0) return;
        while (!seen.includes('close')) {
          process._tickCallback();
          if (!seen.includes('close')) turn();
        }
        const numbers = seen.filter((each) => typeof each === 'number');
        const isOrdered = numbers.length === 1000 && numbers.every((n, i) => n === i);
        console.log(
          isOrdered,
          seen
            .filter((each) => typeof each !== 'number')
            .sort()
            .join(),
        );
      });
    }
    const name = isStock ? subject : require.resolve(subject);
    const { code, stdout, stderr } = await runFunction({ with: [binary, name] }, parent);
    assert.deepEqual(
      { code, stdout: stdout.trim(), stderr },
      { code: 0, stdout: 'true SIGKILL,close,disconnect,last', stderr: '' },
    );
  });

  itIsBetter('may turn it in every listener and callback of a channel', async () => {
    function parent(file, name) {
      const { turn } = require(file);
      const { fork } = require(name);
      if (process.send) {
        process.on('message', (message) => process.send(message));
        return;
      }
      let turns = 0;
      const turnSome = () => {
        if (turns++ > 500) return;
        const timer = setTimeout(() => {}, 1);
        process._tickCallback();
        turn();
        clearTimeout(timer);
      };
      const child = fork(process.argv[1], process.argv.slice(2));
      const got = [];
      for (const event of ['spawn', 'drain', 'disconnect', 'exit', 'close'])
        child.on(event, turnSome);
      child.on('message', ({ n }) => {
        got.push(n);
        turnSome();
        if (n === 400) child.disconnect();
        turnSome();
      });
      child.on('close', () => {
        console.log(
          got.length,
          got.every((n, i) => n === i),
        );
      });
      for (let n = 0; n <= 400; n++) child.send({ n, text: 'x'.repeat(n * 20) }, turnSome);
    }
    const name = require.resolve(subject);
    const { code, stdout, stderr } = await runFunction({ with: [binary, name] }, parent);
    assert.deepEqual(
      { code, stdout: stdout.trim(), stderr },
      { code: 0, stdout: '401 true', stderr: '' },
    );
  });
});
