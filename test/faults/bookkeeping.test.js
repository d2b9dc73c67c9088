'use strict';

// getConnections() and close() while connections are handed on, given back, closed and lost with their processes: what
// they say is what the kernel shows.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { close, connectedPair, connectionsOf, listen } = require('../fixtures/socket-clients');
const { nextMessage } = require('../helpers/events');
const { forkFixture } = require('../helpers/fork-fixture');
const { openConnections } = require('../helpers/kernel');
const { randomFrom } = require('../helpers/random');
const { isLong } = require('../helpers/scale');
const { resume, stop } = require('../helpers/stopped');
const { until } = require('../helpers/until');
const { onEachWire } = require('../helpers/wires');

const N_CHILDREN = 3;
const MAX_CLIENTS = 150;

/** A server, its clients, its children and theirs, and a random step of any of them. */
class World {
  local = []; // sockets that the server's own process holds
  clients = new Set();
  children = [];
  #random;
  #channel;

  constructor(random, channel) {
    this.#random = random;
    this.#channel = channel;
  }

  async start() {
    this.server = await listen({}, (socket) => this.#hold(socket));
    this.port = this.server.address().port;
    for (let i = 0; i < N_CHILDREN; i++) await this.#addChild();
  }

  #hold(socket) {
    this.local.push(socket);
    socket.on('error', () => {}).resume();
    socket.on('close', () => this.#release(socket));
  }

  #release(socket) {
    const index = this.local.indexOf(socket);
    if (index >= 0) this.local.splice(index, 1);
  }

  async #addChild() {
    const child = forkFixture('random-holder.js', ['relay', this.#channel], {
      channel: this.#channel,
    });
    await nextMessage(child);
    child.on('message', (_message, socket) => socket && this.#hold(socket));
    child.on('undelivered', (_message, socket) => {
      this.#hold(socket);
    });
    this.children.push(child);
  }

  #pick(list) {
    return list[Math.floor(this.#random() * list.length)];
  }

  async connect() {
    if (this.clients.size >= MAX_CLIENTS) return;
    const [, client] = await connectedPair(this.server);
    this.clients.add(client);
    client.resume();
    client.on('close', () => this.clients.delete(client));
  }

  hand() {
    const socket = this.#pick(this.local);
    if (!socket || socket.destroyed) return;
    this.#release(socket);
    this.#pick(this.children).send('socket', socket, () => {});
  }

  closeClient() {
    const client = this.#pick([...this.clients]);
    if (!client) return;
    if (this.#random() < 0.5) client.end();
    else client.destroy();
  }

  closeHere() {
    this.#pick(this.local)?.destroy();
  }

  ask(action, what) {
    this.#pick(this.children).send({ do: action, pick: this.#random(), what }, () => {});
  }

  stopOrResume() {
    const child = this.#pick(this.children);
    if (child.isStopped) resume(child);
    else stop(child);
    child.isStopped = !child.isStopped;
  }

  async lose(how) {
    const child = this.#pick(this.children);
    this.children.splice(this.children.indexOf(child), 1);
    const closed = once(child, 'close');
    if (child.isStopped && how !== 'kill') resume(child);
    if (how === 'kill') child.kill('SIGKILL');
    else child.disconnect();
    if (this.#random() < 0.5) await closed;
    else this.closing = closed;
    await this.#addChild();
  }

  /** Everybody runs, and what was begun has come to its end: the server, the kernel and the clients agree. */
  async checkQuiet(step) {
    for (const child of this.children) {
      if (child.isStopped) resume(child);
      child.isStopped = false;
    }
    await this.closing;
    let seen;
    const agree = async () => {
      const counted = await connectionsOf(this.server);
      seen = [counted, openConnections(this.port), this.clients.size];
      return seen.every((count) => count === seen[0]);
    };
    await until(agree, 'they agree').catch(() => {
      assert.fail(`step ${step}: [counted, in the kernel, clients] are [${seen}]`);
    });
  }
}

// Step, and its share in all steps.
const STEPS = [
  [30, (world) => world.connect()],
  [25, (world) => world.hand()],
  [12, (world) => world.closeClient()],
  [5, (world) => world.closeHere()],
  [4, (world) => world.ask('destroy')],
  [4, (world) => world.ask('end')],
  [6, (world) => world.ask('back')],
  [5, (world) => world.ask('on')],
  [2, (world) => world.ask('relay', 'back')],
  [2, (world) => world.ask('relay', 'destroy')],
  [1, (world) => world.stopOrResume()],
  [0.3, (world) => world.lose('kill')],
  [0.2, (world) => world.lose('disconnect')],
];
const TOTAL = STEPS.reduce((sum, [share]) => sum + share, 0);

function stepOf(random) {
  let left = random() * TOTAL;
  for (const [share, step] of STEPS) {
    left -= share;
    if (left < 0) return step;
  }
  return STEPS[0][1];
}

const SEED = Number(process.env.SEED ?? (isLong ? Date.now() % 1e6 : 1));
const N_STEPS = isLong ? 10_000 : 1000;
const STEPS_UNTIL_QUIET = 50;

onEachWire('bookkeeping', (channel) => {
  // A child that is stock Node never counts down what it gives back or passes on.
  (channel === 'node' ? it.skip : it)(
    `counts what the kernel shows in ${N_STEPS} random steps (SEED=${SEED})`,
    async function () {
      this.timeout(isLong ? 600_000 : 120_000);
      const random = randomFrom(SEED);
      const world = new World(random, channel);
      await world.start();
      for (let i = 1; i <= N_STEPS; i++) {
        await stepOf(random)(world);
        const count = await connectionsOf(world.server);
        assert.ok(count >= 0 && count <= 2 * MAX_CLIENTS, `step ${i}: ${count}`);
        if (i % STEPS_UNTIL_QUIET === 0) await world.checkQuiet(i);
      }
      let closings = 0;
      world.server.on('close', () => closings++);
      const closed = close(world.server);
      for (const client of [...world.clients]) client.destroy();
      await closed;
      const ends = world.children.map((child) => once(child, 'close'));
      for (const child of world.children) child.disconnect();
      await Promise.all(ends);
      assert.equal(closings, 1);
    },
  );

  it('answers 1000 counts at once, whatever its children do, and adds no listener', async () => {
    const children = [];
    for (let i = 0; i < 3; i++) children.push(forkFixture('socket-holder.js', [], { channel }));
    const [alive, stopped, dead] = children;
    const server = await listen({});
    const clients = [];
    for (const child of children) {
      const [socket, client] = await connectedPair(server);
      const held = nextMessage(child);
      child.send('socket', socket);
      await held;
      clients.push(client);
    }
    stop(stopped);
    const closed = once(dead, 'close');
    dead.kill('SIGKILL');
    await closed;
    const listeners = () =>
      [alive, stopped, server].flatMap((one) =>
        one.eventNames().map((name) => one.listenerCount(name)),
      );
    const before = listeners();
    const counts = await Promise.all(Array.from({ length: 1000 }, () => connectionsOf(server)));
    assert.deepEqual(counts, Array(1000).fill(2));
    assert.deepEqual(listeners(), before);
    resume(stopped);
    const ends = [alive, stopped].map((child) => once(child, 'close'));
    for (const client of clients) client.destroy();
    alive.disconnect();
    stopped.disconnect();
    await Promise.all(ends);
    await close(server);
  });

  it('close() comes once when of its holders one is stopped, one is killed meanwhile and one disconnects', async () => {
    const children = [];
    for (let i = 0; i < 3; i++) children.push(forkFixture('socket-holder.js', [], { channel }));
    const server = await listen({});
    const clients = [];
    for (const child of children) {
      const [socket, client] = await connectedPair(server);
      const held = nextMessage(child);
      child.send('socket', socket);
      await held;
      clients.push(client.resume());
    }
    const [stopped, killed, disconnected] = children;
    const ends = children.map((child) => once(child, 'close'));
    stop(stopped);
    let closings = 0;
    server.on('close', () => closings++);
    const answers = [close(server)];
    killed.kill('SIGKILL');
    disconnected.disconnect();
    await Promise.all([ends[1], ends[2]]);
    assert.equal(await connectionsOf(server), 1);
    assert.equal(closings, 0);
    stopped.kill('SIGKILL');
    await Promise.all([...answers, ends[0]]);
    assert.equal(closings, 1);
    for (const client of clients) client.destroy();
  });
});
