'use strict';

// No descriptors left, at the receiver, the sender or both, and too many on their way: nothing is lost, order is kept,
// nobody waits in a busy loop, and it goes on when some are freed.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { close, connectedPair, connectionsOf, listen } = require('../fixtures/socket-clients');
const { cpuTimeWithin } = require('../helpers/cpu');
const { descriptorsOf } = require('../helpers/descriptors');
const { nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { setDescriptorLimit } = require('../helpers/limits');
const { functionArgs, runFunction } = require('../helpers/run');
const { Tally } = require('../helpers/tally');
const { until } = require('../helpers/until');
const { onEachWire } = require('../helpers/wires');

const isSanitized = process.env.ASAN_OPTIONS !== undefined; // it has descriptors, and threads, of its own

/** Keeps what it gets; closes the 20 oldest at a signal, for a message would wait behind what it has no room for. */
function hold() {
  const held = [];
  process.on('message', (message, socket) => {
    if (socket) held.push(socket);
    process.send(message);
  });
  process.on('SIGUSR2', () => {
    for (const one of held.splice(0, 20)) one.destroy();
  });
  process.on('disconnect', () => {
    for (const one of held) one.destroy();
  });
  process.send('up');
}

async function startHolding(channel) {
  const child = forkFunction({ channel }, hold);
  await nextMessage(child);
  child.got = [];
  child.on('message', (message) => child.got.push(message));
  return child;
}

/** Handles with messages between them, as they are sent and are to arrive. */
function sendMixed(tally, sockets) {
  const order = [];
  for (const [i, socket] of sockets.entries()) {
    tally.send(i, socket);
    order.push(i);
    if (i % 10 !== 0) continue;
    tally.send(`plain ${i}`);
    order.push(`plain ${i}`);
  }
  return order;
}

async function leave(child, tally) {
  child.disconnect();
  await tally.ended();
  tally.checkEnd();
  assert.deepEqual([tally.failed, tally.returned], [0, 0]);
}

async function manyPairs(server, count) {
  const pairs = [];
  for (let i = 0; i < count; i++) pairs.push(await connectedPair(server));
  return pairs;
}

onEachWire('a receiver with room for 64 descriptors', (channel) => {
  it('that gets 500 sockets and keeps them takes what it has room for, and waits without using time', async () => {
    const child = await startHolding(channel);
    const server = await listen({});
    const pairs = await manyPairs(server, 500);
    setDescriptorLimit(child.pid, 64);
    const tally = new Tally(child);
    const order = sendMixed(
      tally,
      pairs.map(([socket]) => socket),
    );
    await until(() => child.got.length >= 20);
    await until(() => descriptorsOf(child.pid).size >= 64, 'it is at its limit');
    const [ours, its] = await cpuTimeWithin(1000, [process.pid, child.pid]);
    assert.ok(ours <= 150 && its <= 150, `${ours} and ${its} ms of CPU time in 1000`);
    // It stays at its limit and goes on as it frees some: all come, in order.
    while (child.got.length < order.length) {
      const { length } = child.got;
      child.kill('SIGUSR2');
      await until(() => child.got.length >= Math.min(length + 20, order.length), 'it goes on');
    }
    assert.deepEqual(child.got, order);
    await tally.settled();
    await leave(child, tally);
    assert.equal(await connectionsOf(server), 0);
    for (const [, client] of pairs) client.destroy();
    await close(server);
  });

  it('goes on within its back-off of a second when its limit is raised', async () => {
    const child = await startHolding(channel);
    const server = await listen({});
    const pairs = await manyPairs(server, 100);
    setDescriptorLimit(child.pid, 64);
    const tally = new Tally(child);
    const order = sendMixed(
      tally,
      pairs.map(([socket]) => socket),
    );
    await until(() => descriptorsOf(child.pid).size >= 64, 'it is at its limit');
    setDescriptorLimit(child.pid, 1024);
    await until(() => child.got.length === order.length, 'all arrive');
    assert.deepEqual(child.got, order);
    await leave(child, tally);
    assert.equal(await connectionsOf(server), 0);
    for (const [, client] of pairs) client.destroy();
    await close(server);
  });

  it('that is killed then gives back what it did not take', async () => {
    const child = await startHolding(channel);
    const server = await listen({});
    const pairs = await manyPairs(server, 100);
    setDescriptorLimit(child.pid, 64);
    const tally = new Tally(child, (_message, socket) => socket.destroy());
    sendMixed(
      tally,
      pairs.map(([socket]) => socket),
    );
    await until(() => descriptorsOf(child.pid).size >= 64, 'it is at its limit');
    await until(() => child.got.length >= 20);
    child.kill('SIGKILL');
    await tally.ended();
    tally.checkEnd();
    const taken = 100 - tally.returned;
    assert.ok(taken >= 20 && taken < 64, `${taken} were taken`);
    assert.equal(await connectionsOf(server), 0);
    for (const [, client] of pairs) client.destroy();
    await close(server);
  });
});

/** Sends at its own limit of descriptors, prints what came of it, waits for a signal and sends again. */
async function sendAtLimit(options, isChildFull) {
  const { once } = require('node:events');
  const { descriptorsOf } = require('../helpers/descriptors');
  const { forkFunction } = require('../helpers/fork-fixture');
  const { setDescriptorLimit } = require('../helpers/limits');
  const { until } = require('../helpers/until');
  const { connectedPair, listen, send } = require('./socket-clients');

  const child = forkFunction(options, () => {
    process.on('message', (message, handle) => {
      process.send(`${message} with ${handle?.constructor.name}`);
      handle?.close?.();
      handle?.destroy?.();
    });
    process.send('up');
  });
  await once(child, 'message');
  const got = [];
  child.on('message', (message) => got.push(message));
  const server = await listen({});
  const [moved, first] = await connectedPair(server);
  const [kept, second] = await connectedPair(server);
  const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
  say({ pids: [process.pid, child.pid] });
  const goOn = once(process, 'SIGUSR2');

  if (isChildFull) setDescriptorLimit(child.pid, descriptorsOf(child.pid).size);
  setDescriptorLimit(process.pid, 3); // the next one is refused, whatever is open
  const outcomes = {};
  const note = (name) => (error) => {
    outcomes[name] = error?.code ?? null;
  };
  child.send('moved', moved, note('moved'));
  child.send('server', server, note('server'));
  child.send('kept', kept, { keepOpen: true }, note('kept'));
  child.send('plain', note('plain'));
  await until(() => Object.keys(outcomes).length === 4);
  say({ outcomes, isListening: server.listening, isOpen: !kept.destroyed });

  await goOn;
  const later = [
    await send(child, 'server', server),
    await send(child, 'kept', kept, { keepOpen: true }),
  ];
  await until(() => got.length === 4);
  say({ later, got });
  for (const one of [first, second, kept]) one.destroy();
  server.close();
  child.disconnect();
}

onEachWire('a sender without a free descriptor', (channel) => {
  for (const isChildFull of [false, true]) {
    const title = isChildFull ? ', and its receiver without one as well' : '';
    it(`moves sockets and is refused what needs a duplicate, which stays as it was${title}`, async () => {
      const program = spawn(
        process.execPath,
        functionArgs(sendAtLimit, [{ channel }, isChildFull]),
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      let output = '';
      program.stdout.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
      const said = () => Object.assign({}, ...output.split('\n').slice(0, -1).map(JSON.parse));
      await until(() => said().outcomes, 'it has sent');
      const { pids, outcomes, isListening, isOpen } = said();
      const expected = { moved: null, server: 'EMFILE', kept: 'EMFILE', plain: null };
      assert.deepEqual(
        { outcomes, isListening, isOpen },
        { outcomes: expected, isListening: true, isOpen: true },
      );
      for (const pid of pids) setDescriptorLimit(pid, 1024);
      program.kill('SIGUSR2');
      await once(program, 'close');
      assert.deepEqual(said().later, [null, null]);
      const got = [
        'moved with Socket',
        'plain with undefined',
        'server with Server',
        'kept with Socket',
      ];
      assert.deepEqual(said().got, got);
    });
  }
});

/** Says ETOOMANYREFS: an ordinary user with more descriptors on their way than its processes may have open. */
async function tooManyOnTheirWay(options, count) {
  const { once } = require('node:events');
  const { setTimeout: wait } = require('node:timers/promises');
  const { forkFunction } = require('../helpers/fork-fixture');
  const { setDescriptorLimit } = require('../helpers/limits');
  const { resume, stop } = require('../helpers/stopped');
  const { until } = require('../helpers/until');
  const { connectedPair, listen } = require('./socket-clients');

  const child = forkFunction(options, () => {
    process.on('message', (message, socket) => {
      socket?.destroy();
      process.send(message);
    });
    process.send('up');
  });
  await once(child, 'message');
  const server = await listen({});
  const pairs = [];
  for (let i = 0; i < count; i++) pairs.push(await connectedPair(server));
  const got = [];
  child.on('message', (message) => got.push(message));
  const outcomes = [];
  stop(child);
  setDescriptorLimit(process.pid, 64);
  for (const [i, [socket]] of pairs.entries()) {
    child.send(i, socket, (error) => outcomes.push(error?.code ?? null));
  }
  child.send('last', (error) => outcomes.push(error?.code ?? null));
  await wait(100);
  const before = process.cpuUsage();
  await wait(1000);
  const { user, system } = process.cpuUsage(before);
  const left = outcomes.length; // by what left before the kernel refused more
  resume(child);
  await until(() => got.length === count + 1, 'all arrive');
  const inOrder = got.every((message, i) => message === (i < count ? i : 'last'));
  console.log(
    JSON.stringify({
      uid: process.getuid(),
      left,
      cpu: (user + system) / 1000,
      inOrder,
      outcomes: outcomes.length,
      failed: outcomes.filter(Boolean),
    }),
  );
  child.disconnect();
  server.close();
  for (const [, client] of pairs) client.destroy();
}

const NOBODY = 65534;

onEachWire('too many descriptors on their way', (channel) => {
  it('for an ordinary user: they leave as the receiver takes some, and waiting uses no time', async () => {
    const { stdout, stderr } = await runFunction(
      { with: [{ channel }, 400], uid: NOBODY, gid: NOBODY },
      tooManyOnTheirWay,
    );
    assert.equal(stderr, '');
    const { left, cpu, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, { uid: NOBODY, inOrder: true, outcomes: 401, failed: [] });
    assert.ok(left < 400, `${left} left at once`);
    if (!isSanitized) assert.ok(cpu < 150, `${cpu} ms of CPU time in 1000`);
  });
});
