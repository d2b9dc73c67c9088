'use strict';

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const attachment = require('../../lib/attach');
const internals = require('../../lib/node-internals');
const { until } = require('../helpers/until');

async function connection() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect(server.address().port, '127.0.0.1');
  const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  return { server, client, socket };
}

async function closeAll({ server, client, socket }) {
  client.destroy();
  socket.destroy();
  server.close();
  await once(server, 'close');
}

const FW_FD_UNIX = 2; // fw_fd_kind_t

describe('handles', () => {
  it('of sockets, servers and bound UDP sockets are found, with their class and descriptor', async () => {
    const one = await connection();
    const udp = dgram.createSocket('udp4').bind(0);
    await once(udp, 'listening');
    for (const [handle, name] of [
      [internals.handleOf(one.socket), 'TCP'],
      [internals.handleOf(one.server), 'TCP'],
      [internals.dgramHandleOf(udp), 'UDP'],
    ]) {
      assert.equal(internals.nativeClassOf(handle), name);
      assert.ok(internals.fdOf(handle) > 2);
    }
    assert.equal(internals.handleOf(new net.Socket()), null);
    assert.equal(internals.nativeClassOf({}), 'Object');
    assert.equal(internals.nativeClassOf(Object.create(null)), null);
    assert.equal(internals.nativeClassOf(new (class TCP {})()), null);
    udp.close();
    await closeAll(one);
  });

  for (const kind of [undefined, FW_FD_UNIX])
    it(`are made of descriptors, kind ${kind}`, async () => {
      const [one, two] = attachment.socketPair();
      const handles = [
        internals.streamHandleFrom(one, kind),
        internals.streamHandleFrom(two, kind),
      ];
      const sockets = handles.map(
        (handle) => new net.Socket({ handle, readable: true, writable: true }),
      );
      assert.ok(handles.every((handle) => internals.nativeClassOf(handle) === 'Pipe'));
      sockets[0].end('through');
      assert.equal(String((await once(sockets[1], 'data'))[0]), 'through');
      for (const socket of sockets) socket.destroy();
      await Promise.all(sockets.map((socket) => once(socket, 'close')));
    });

  it('of UDP know whether they are of version 4 or 6', async () => {
    for (const type of ['udp4', 'udp6']) {
      const socket = dgram.createSocket(type).bind(0);
      const [bound] = await Promise.race([
        once(socket, 'listening').then(() => [true]),
        once(socket, 'error').then(() => [false]),
      ]);
      if (bound) assert.equal(internals.udpTypeOf(internals.dgramHandleOf(socket)), type);
      socket.close();
    }
  });

  it('cannot be made of a descriptor that is no socket', () => {
    assert.throws(() => internals.udpHandleFrom(999_999));
    assert.throws(() => internals.streamHandleFrom(999_999, FW_FD_UNIX));
  });
});

describe('what a socket has read', () => {
  for (const [encoding, expected] of [
    [null, 'täil'],
    ['utf8', 'täil'],
    ['latin1', 'täil'],
    ['hex', 'täil'],
    ['base64', 'täil'],
  ]) {
    it(`is given as bytes and then forgotten (${encoding ?? 'no encoding'})`, async () => {
      const one = await connection();
      if (encoding) one.socket.setEncoding(encoding);
      one.client.write(expected);
      await once(one.socket, 'readable');
      assert.equal(String(internals.readableBytes(one.socket)), expected);
      internals.clearReadable(one.socket);
      assert.equal(one.socket.readableLength, 0);
      assert.equal(one.socket.read(), null);
      await closeAll(one);
    });
  }

  it('includes the bytes of a character that is not complete', async () => {
    const one = await connection();
    one.socket.setEncoding('utf8');
    const bytes = Buffer.from('a😀');
    one.client.write(bytes.subarray(0, 4));
    await once(one.socket, 'readable');
    assert.deepEqual(internals.readableBytes(one.socket), bytes.subarray(0, 4));
    await closeAll(one);
  });

  it('ends with stopReading(): what comes afterwards stays in the kernel', async () => {
    const one = await connection();
    const handle = internals.handleOf(one.socket);
    one.socket.on('data', assert.fail);
    await new Promise(setImmediate);
    internals.stopReading(handle);
    one.client.write('not for this socket');
    assert.equal(internals.detachHandle(one.socket), handle);
    assert.equal(internals.handleOf(one.socket), null);
    const next = new net.Socket({ handle, readable: true, writable: true });
    assert.equal(String((await once(next, 'data'))[0]), 'not for this socket');
    next.destroy();
    await closeAll(one);
  });
});

describe('what a socket has still to write', () => {
  it('is taken out of its buffer with its callbacks', async () => {
    const one = await connection();
    one.client.pause();
    const callback = () => {};
    one.socket.cork();
    one.socket.write('one');
    one.socket.write('two', callback);
    const writes = internals.takeBufferedWrites(one.socket);
    assert.deepEqual(
      writes.map(({ chunk }) => String(chunk)),
      ['one', 'two'],
    );
    assert.equal(typeof writes[1].callback, 'function');
    assert.equal(one.socket.writableLength, 0);
    await closeAll(one);
  });
});

describe('a server', () => {
  it('counts connections that are added, and is the one of a socket that it accepted', async () => {
    const one = await connection();
    assert.equal(internals.serverOf(one.socket), one.server);
    assert.equal(internals.serverOf(one.client), null);
    assert.equal(internals.connectionsOf(one.server), 1);
    internals.addConnections(one.server, 2);
    assert.equal(internals.connectionsOf(one.server), 3);
    internals.addConnections(one.server, -2);
    await closeAll(one);
  });

  it('counts the closing of a socket that it was given', async () => {
    const [one, two] = [await connection(), await connection()];
    internals.addConnections(two.server, -1);
    internals.addConnections(one.server, 1);
    internals.giveToServer(two.socket, one.server);
    const closings = [];
    internals.onConnectionClosed(one.server, () =>
      closings.push(internals.connectionsOf(one.server)),
    );
    two.client.destroy();
    two.socket.destroy();
    await until(() => internals.connectionsOf(one.server) === 1);
    assert.ok(closings.length > 0);
    two.server.close();
    await Promise.all([once(two.server, 'close'), closeAll(one)]);
  });

  it('asks its lists, and forgets that it had any', async () => {
    const server = net.createServer().listen(0);
    await once(server, 'listening');
    const list = new (require('node:events'))();
    list.getConnections = (callback) => callback(null, 5);
    list.close = (callback) => callback(null);
    internals.addWorkerList(server, list);
    assert.equal(
      await new Promise((resolve) => server.getConnections((_, count) => resolve(count))),
      5,
    );
    list.emit('exit', list);
    internals.forgetWorkersIfNone(server);
    assert.equal(
      await new Promise((resolve) => server.getConnections((_, count) => resolve(count))),
      0,
    );
    server.close();
    await once(server, 'close');
  });
});

describe('a connection inside an HTTP server', () => {
  it('gives its parser back', async () => {
    const server = http.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = net.connect(server.address().port, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const [request] = await once(server, 'request');
    const { socket } = request;
    assert.ok(socket.parser);
    internals.releaseHttp(socket);
    assert.equal(socket.parser, null);
    assert.equal(socket._httpMessage, null);
    socket.destroy();
    client.destroy();
    server.close();
    await once(server, 'close');
  });

  it('may be none: nothing happens', async () => {
    const one = await connection();
    internals.releaseHttp(one.socket);
    await closeAll(one);
  });
});

describe('a child process', () => {
  it("waits with 'close' for one more stream, and its exit can be held back", async () => {
    const child = require('node:child_process').spawn('true');
    const seen = [];
    for (const name of ['exit', 'close']) child.on(name, () => seen.push(name));
    internals.expectClose(child);
    const [code, signal, proceed] = await new Promise((resolve) => {
      internals.interceptExit(child, (...args) => resolve(args));
    });
    assert.deepEqual([code, signal], [0, '']);
    assert.deepEqual(seen, []);
    proceed();
    assert.deepEqual(seen, ['exit']);
    await until(() => child._closesGot === child._closesNeeded - 1);
    assert.deepEqual(seen, ['exit']);
    internals.countClose(child);
    assert.deepEqual(seen, ['exit', 'close']);
  });
});

describe('isMainThread()', () => {
  it('is what node:worker_threads says, here and in a Worker', async () => {
    const { Worker, isMainThread } = require('node:worker_threads');
    assert.equal(internals.isMainThread(), isMainThread);
    const file = require.resolve('../../lib/node-internals');
    const source = `
      const { isMainThread, parentPort, workerData } = require('node:worker_threads');
      parentPort.postMessage([require(workerData).isMainThread(), isMainThread]);`;
    const worker = new Worker(source, { eval: true, workerData: file });
    assert.deepEqual((await once(worker, 'message'))[0], [false, false]);
    await once(worker, 'exit');
  });
});
