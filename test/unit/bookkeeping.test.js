'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
const net = require('node:net');
const { once } = require('node:events');
const { promisify } = require('node:util');
const { Bookkeeping } = require('../../lib/bookkeeping');

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
    one.server._connections++; // this test's socket did not really leave
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
    one.server._connections++;
    await closeAll(one);
  });

  it('reports received sockets when they close, in totals, by key', () => {
    const sockets = [new EventEmitter(), new EventEmitter(), new EventEmitter()];
    child.arrived(sockets[0], 1n, false);
    child.arrived(sockets[1], 1n, false);
    child.arrived(sockets[2], 2n, false);
    for (const socket of sockets) socket.emit('close');
    assert.deepEqual(reports, [
      { key: 1n, closed: 1 },
      { key: 1n, closed: 2 },
      { key: 2n, closed: 1 },
    ]);
  });

  it('counts what was handed on until its new holder closed it', () => {
    const socket = new EventEmitter();
    const toGrandchild = new Bookkeeping(new EventEmitter(), assert.fail);
    child.arrived(socket, 1n, false);
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
      child.arrived(socket, 1n, false);
      toGrandchild.moving(socket).moved();
    }
    toGrandchild.end();
    assert.deepEqual(reports, [{ key: 1n, closed: 3 }]);
  });

  it('does not report what goes back to where it came from', () => {
    const socket = new EventEmitter();
    child.arrived(socket, 1n, false);
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
});
