'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
const net = require('node:net');
const { once } = require('node:events');
const { KeptOpenList, SocketListReceive, SocketListSend } = require('../../lib/socket-list');

const KEY = 5n;

/** An owner as bookkeeping has them, that keeps what it hears. */
class Owner {
  heard = [];
  isItDrained = true;

  settled(list, count) {
    this.heard.push([list.key, count]);
  }

  isDrained() {
    return this.isItDrained;
  }

  surplus = 0;

  surplusFor() {
    return this.surplus;
  }
}

function record(emitter, names) {
  const seen = [];
  for (const name of names) emitter.on(name, () => seen.push(name));
  return seen;
}

function countOf(list) {
  let count;
  list.getConnections((error, connections) => {
    assert.equal(error, null);
    count = connections;
  });
  return count;
}

describe('SocketListSend', () => {
  const child = new EventEmitter();
  let owner;
  let list;

  beforeEach(() => {
    owner = new Owner();
    list = new SocketListSend(child, KEY, owner);
  });

  it("has stock's properties", () => {
    assert.equal(list.child, child);
    assert.equal(list.key, KEY);
    assert.ok(list instanceof EventEmitter);
  });

  it('counts what left, at once', () => {
    assert.equal(countOf(list), 0);
    list.add();
    list.add();
    assert.equal(countOf(list), 2);
  });

  it('takes off what the server counts without a connection', () => {
    list.add();
    owner.surplus = 1;
    assert.equal(countOf(list), 0);
  });

  it('takes off what the child closed, and tells its owner', () => {
    for (let i = 0; i < 3; i++) list.add();
    list.closedThere(1);
    assert.equal(countOf(list), 2);
    list.closedThere(2);
    assert.equal(countOf(list), 0);
    assert.deepEqual(owner.heard, [
      [KEY, 1],
      [KEY, 2],
    ]);
  });

  it('never counts below nothing, whatever a child says', () => {
    list.add();
    list.closedThere(100);
    list.closedThere(1);
    list.remove(5);
    assert.equal(countOf(list), 0);
  });

  it("emits 'empty' with itself when the last is gone, each time", () => {
    const seen = record(list, ['empty']);
    list.add();
    list.remove(1);
    list.remove(1);
    assert.deepEqual(seen, ['empty']);
    list.add();
    list.closedThere(1);
    assert.deepEqual(seen, ['empty', 'empty']);
  });

  it('calls close() back at once when it has none, else when the last is gone', () => {
    const called = [];
    list.close((error) => called.push(['first', error]));
    assert.deepEqual(called, [['first', null]]);
    list.add();
    list.close((error) => called.push(['second', error]));
    assert.equal(called.length, 1);
    list.closedThere(1);
    assert.deepEqual(called[1], ['second', null]);
  });

  it('lets close() wait for its owner as well', () => {
    const called = [];
    owner.isItDrained = false;
    list.close(() => called.push('closed'));
    list.check();
    assert.deepEqual(called, []);
    owner.isItDrained = true;
    list.check();
    list.check();
    assert.deepEqual(called, ['closed']);
  });

  it('loses all with its child: tells the owner, calls close() back, emits exit once', () => {
    const seen = record(list, ['empty', 'exit']);
    list.add();
    list.add();
    list.close(() => seen.push('closed'));
    list.end();
    assert.deepEqual(seen, ['empty', 'closed', 'exit']);
    assert.deepEqual(owner.heard, [[KEY, 2]]);
    assert.equal(countOf(list), 0);
  });

  it("emits 'exit' when it counts nothing any more and no close() waits", () => {
    const seen = record(list, ['exit']);
    list.add();
    list.add();
    list.closedThere(1);
    assert.deepEqual(seen, []);
    owner.isItDrained = false;
    list.close(() => seen.push('closed'));
    list.closedThere(1);
    assert.deepEqual(seen, []);
    owner.isItDrained = true;
    list.check();
    assert.deepEqual(seen, ['closed', 'exit']);
  });
});

describe('KeptOpenList', () => {
  it('counts a connection once among all its holders', () => {
    const lists = [];
    let isOpenHere = true;
    for (let i = 0; i < 2; i++) {
      lists.push(new KeptOpenList(null, BigInt(i), new Owner(), lists, () => isOpenHere));
      lists[i].add();
    }
    assert.deepEqual(lists.map(countOf), [0, 0]); // the server itself counts it
    isOpenHere = false;
    assert.deepEqual(lists.map(countOf), [1, 0]);
    lists[0].closedThere(1);
    assert.deepEqual(lists.map(countOf), [0, 1]);
    lists[1].closedThere(1);
    assert.deepEqual(lists.map(countOf), [0, 0]);
  });
});

describe('SocketListReceive', () => {
  let reports;
  let list;

  beforeEach(() => {
    reports = [];
    list = new SocketListReceive(process, KEY, (key, closed) => reports.push([key, closed]));
  });

  it('counts a real socket until it closes, and reports each', async () => {
    const server = net.createServer().listen(0);
    await once(server, 'listening');
    const clients = [];
    for (let i = 0; i < 2; i++) {
      const client = net.connect(server.address().port);
      const [socket] = await once(server, 'connection');
      list.add({ socket });
      clients.push({ client, socket });
    }
    assert.equal(countOf(list), 2);
    const seen = record(list, ['empty']);
    for (const { client, socket } of clients) {
      assert.deepEqual(seen, []);
      socket.resume();
      socket.end();
      client.end();
      client.resume();
      await once(socket, 'close');
    }
    assert.deepEqual(reports, [
      [KEY, 1],
      [KEY, 1],
    ]);
    assert.deepEqual(seen, ['empty']);
    server.close();
    await once(server, 'close');
  });

  it('does not report what went back where it came from', () => {
    const socket = new EventEmitter();
    const onClose = list.add({ socket });
    socket.removeListener('close', onClose);
    list.leave(1);
    socket.emit('close');
    assert.deepEqual(reports, []);
    assert.equal(countOf(list), 0);
    list.rejoin(1);
    list.watch(socket);
    assert.equal(countOf(list), 1);
    socket.emit('close');
    assert.deepEqual(reports, [[KEY, 1]]);
  });

  it('calls close() back when none is left', () => {
    const called = [];
    list.close((error) => called.push(error));
    assert.deepEqual(called, [null]);
    list.add({ socket: new EventEmitter() });
    list.close((error) => called.push(error));
    assert.equal(called.length, 1);
    list.remove(1);
    assert.equal(called.length, 2);
  });
});
