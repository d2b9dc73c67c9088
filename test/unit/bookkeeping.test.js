'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
const net = require('node:net');
const { once } = require('node:events');
const { promisify } = require('node:util');
const { Bookkeeping } = require('../../lib/bookkeeping');
const { assertGrowth, collectGarbage } = require('../helpers/memory');
const { until } = require('../helpers/until');

/** A server with `count` accepted connections. */
async function serverWith(count) {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const pairs = [];
  for (let i = 0; i < count; i++) {
    const client = net.connect(server.address().port);
    const [socket] = await once(server, 'connection');
    pairs.push({ client, socket });
  }
  const getConnections = promisify(server.getConnections.bind(server));
  return { server, pairs, getConnections };
}

async function closeAll({ server, pairs }) {
  server.close();
  for (const { client, socket } of pairs) {
    client.destroy();
    if (!socket.destroyed) socket.destroy();
  }
  await once(server, 'close');
}

describe('the bookkeeping of a channel', () => {
  let parent; // a process with a server
  let reports; // what the child would tell
  let child;

  beforeEach(() => {
    reports = [];
    parent = new Bookkeeping(new EventEmitter(), assert.fail);
    child = new Bookkeeping(process, (key, closed) => reports.push({ key, closed }));
  });

  it('has nothing to say of a socket that no server accepted', async () => {
    const one = await serverWith(1);
    assert.equal(parent.moving(one.pairs[0].client), undefined);
    assert.equal(parent.keeping(one.pairs[0].client), undefined);
    await closeAll(one);
  });

  it('counts a socket through the child from the moment it left until the child closed it', async () => {
    const one = await serverWith(2);
    const [first] = one.pairs;
    const moving = parent.moving(first.socket);
    assert.equal(typeof moving.key, 'bigint');
    assert.equal(await one.getConnections(), 2);
    moving.moved();
    assert.equal(one.server._connections, 1);
    assert.equal(await one.getConnections(), 2);
    parent.closedThere(moving.key, 1);
    assert.equal(await one.getConnections(), 1);
    await closeAll(one);
  });

  it('counts a socket that left no more, also when its empty shell is destroyed', async () => {
    const one = await serverWith(2);
    const moving = parent.moving(one.pairs[0].socket);
    moving.moved();
    one.pairs[0].socket.destroy();
    await once(one.pairs[0].socket, 'close');
    assert.equal(await one.getConnections(), 2);
    parent.closedThere(moving.key, 1);
    assert.equal(await one.getConnections(), 1);
    await closeAll(one);
  });

  it('knows a server by one key, and two servers by two', async () => {
    const [one, two] = [await serverWith(2), await serverWith(1)];
    const keys = [...one.pairs, ...two.pairs].map(({ socket }) => parent.moving(socket).key);
    assert.equal(keys[0], keys[1]);
    assert.notEqual(keys[0], keys[2]);
    await closeAll(one);
    await closeAll(two);
  });

  it('gives a socket that came back to its server again', async () => {
    const one = await serverWith(1);
    const { socket } = one.pairs[0];
    const moving = parent.moving(socket);
    moving.moved();
    moving.returned(socket);
    assert.equal(await one.getConnections(), 1);
    assert.equal(one.server._connections, 1);
    await closeAll(one);
  });

  it('counts one that came back and was closed no more', async () => {
    const one = await serverWith(1);
    const moving = parent.moving(one.pairs[0].socket);
    moving.moved();
    moving.returned();
    assert.equal(await one.getConnections(), 0);
    await closeAll(one);
  });

  it('reports received sockets when they close, by key', () => {
    const sockets = [new EventEmitter(), new EventEmitter(), new EventEmitter()];
    child.arrived(sockets[0], 1n);
    child.arrived(sockets[1], 1n);
    child.arrived(sockets[2], 2n);
    for (const socket of sockets) socket.emit('close');
    assert.deepEqual(reports, [
      { key: 1n, closed: 1 },
      { key: 1n, closed: 1 },
      { key: 2n, closed: 1 },
    ]);
  });

  it('counts what was handed on until its new holder closed it', () => {
    const socket = new EventEmitter();
    const toGrandchild = new Bookkeeping(new EventEmitter(), assert.fail);
    child.arrived(socket, 1n);
    const moving = toGrandchild.moving(socket);
    assert.notEqual(moving.key, 1n);
    moving.moved();
    socket.emit('close');
    assert.deepEqual(reports, []);
    toGrandchild.closedThere(moving.key, 1);
    assert.deepEqual(reports, [{ key: 1n, closed: 1 }]);
  });

  it('counts what was handed on no more when the channel to its holder ends', () => {
    const toGrandchild = new Bookkeeping(new EventEmitter(), assert.fail);
    for (let i = 0; i < 3; i++) {
      const socket = new EventEmitter();
      child.arrived(socket, 1n);
      toGrandchild.moving(socket).moved();
    }
    toGrandchild.end();
    assert.deepEqual(reports, [{ key: 1n, closed: 3 }]);
  });

  it('does not report what goes back to where it came from', () => {
    const socket = new EventEmitter();
    child.arrived(socket, 1n);
    const moving = child.moving(socket);
    assert.equal(moving.key, 1n);
    moving.moved();
    socket.emit('close');
    assert.deepEqual(reports, []);
  });

  it('ends with its channel: getConnections() and close() of the server answer', async () => {
    const one = await serverWith(1);
    parent.moving(one.pairs[0].socket).moved();
    const closed = once(one.server, 'close');
    one.server.close();
    parent.end();
    await closed;
    assert.equal(await one.getConnections(), 0);
    assert.equal(one.server._workers.length, 0);
    one.pairs[0].client.destroy();
    one.pairs[0].socket.destroy();
    await once(one.pairs[0].socket, 'close');
  });

  it('ignores closings of keys that it does not know', () => {
    parent.closedThere(99n, 5);
  });

  it('keeps nothing of a server whose connections are closed, and counts the next one anew', async () => {
    const one = await serverWith(3);
    const movings = one.pairs.map(({ socket }) => parent.moving(socket));
    assert.equal(one.server._workers.length, 0); // nothing left yet
    for (const moving of movings.slice(0, 2)) moving.moved();
    assert.equal(one.server._workers.length, 1);
    parent.closedThere(movings[0].key, 1);
    assert.equal(one.server._workers.length, 1);
    parent.closedThere(movings[0].key, 1);
    assert.equal(one.server._workers.length, 0);
    assert.equal(one.server._usingWorkers, false);
    movings[2].moved();
    assert.equal(await one.getConnections(), 1);
    parent.closedThere(movings[0].key, 1);
    assert.equal(await one.getConnections(), 0);
    assert.equal(one.server._workers.length, 0);
    await closeAll(one);
  });

  it('counts each of two lists of one server when it moves between them', () => {
    // The received list of a key is given up when it is empty; one that comes back late still reports what it has.
    const [first, second] = [new EventEmitter(), new EventEmitter()];
    child.arrived(first, 1n);
    const moving = child.moving(first);
    moving.moved();
    child.arrived(second, 1n);
    moving.returned(first);
    first.emit('close');
    second.emit('close');
    assert.deepEqual(reports, [
      { key: 1n, closed: 1 },
      { key: 1n, closed: 1 },
    ]);
  });
});

describe('the memory of the bookkeeping of a channel that lives on', () => {
  const heap = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };

  it('does not hold servers whose connections are closed', async () => {
    const channel = new Bookkeeping(new EventEmitter(), assert.fail);
    async function usedServer() {
      const one = await serverWith(1);
      const moving = channel.moving(one.pairs[0].socket);
      moving.moved();
      channel.closedThere(moving.key, 1);
      await closeAll(one);
      return new WeakRef(one.server);
    }
    const servers = [];
    for (let i = 0; i < 5; i++) servers.push(await usedServer());
    await until(() => {
      collectGarbage();
      return servers.every((server) => server.deref() === undefined);
    }, 'all servers are collected');
    channel.end(); // it lived until here
  });

  it('does not grow with the keys that a peer makes up', () => {
    const channel = new Bookkeeping(process, () => {});
    const receive = (first, end) => {
      for (let key = first; key < end; key++) {
        const socket = new EventEmitter();
        channel.arrived(socket, BigInt(key));
        socket.emit('close');
      }
    };
    receive(0, 1000);
    const before = heap();
    receive(1000, 50_000);
    assertGrowth(heap() - before, 1 << 20);
    channel.end();
  });
});
