'use strict';

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const attachment = require('../../lib/attach');
const { Bookkeeping } = require('../../lib/bookkeeping');
const handles = require('../../lib/handles');
const internals = require('../../lib/node-internals');
const { until } = require('../helpers/until');

const { FLAG, TYPE } = handles;

const bookkeeping = new Bookkeeping(process, () => {});

const send = (object, options = {}) =>
  handles.conversionOf(object).send(object, options, bookkeeping, () => {});

/** A connection whose `socket` was accepted by `server`. */
async function connection(options) {
  const server = net.createServer(options).listen(0, '127.0.0.1');
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

describe('the table of handles', () => {
  it('has a number of its own for each kind, and knows them', () => {
    const types = handles.conversions().map(({ type }) => type);
    assert.equal(new Set(types).size, types.length);
    for (const type of types) assert.ok(handles.isKnown(type));
    for (const type of [0, 99, undefined]) assert.equal(handles.isKnown(type), false);
  });

  it('takes each object for what it is', async () => {
    const one = await connection();
    const udp = dgram.createSocket('udp4').bind(0);
    await once(udp, 'listening');
    const kinds = [
      [one.socket, TYPE.SOCKET],
      [one.server, TYPE.SERVER],
      [internals.handleOf(one.server), TYPE.NATIVE],
      [internals.handleOf(one.socket), TYPE.NATIVE],
      [udp, TYPE.DGRAM],
      [internals.dgramHandleOf(udp), TYPE.DGRAM_NATIVE],
    ];
    for (const [object, type] of kinds) {
      const travel = send(object, { keepOpen: true });
      assert.equal(travel.type, type);
      assert.ok(travel.fd >= 0);
      assert.equal(travel.dup, true);
    }
    await closeAll(one);
    udp.close();
    await once(udp, 'close');
  });

  it('refuses what cannot be sent', () => {
    for (const object of [
      {},
      [],
      'x',
      1,
      true,
      () => {},
      new Map(),
      process.stdout._handle ?? {},
    ]) {
      if (['TCP', 'Pipe', 'UDP'].includes(internals.nativeClassOf(Object(object)))) continue;
      assert.throws(() => send(object), { code: 'ERR_INVALID_HANDLE_TYPE' });
    }
  });

  it('refuses sockets in a state that cannot travel, and touches nothing', async () => {
    const one = await connection();
    const connecting = net.connect(one.server.address().port);
    const secure = new tls.TLSSocket(one.socket);
    for (const socket of [connecting, secure]) {
      assert.throws(() => send(socket), { code: 'ERR_FORKWIRE_HANDLE_STATE' });
    }
    await once(connecting, 'connect');
    connecting.destroy();
    secure.destroy();
    await closeAll(one);
  });

  it('says of a socket without its connection that this is gone', async () => {
    assert.equal(send(new net.Socket().destroy()).isGone, true);
    const one = await connection();
    one.socket._handle.close();
    assert.equal(send(one.socket).isGone, true);
    await closeAll(one);
  });

  it('sends nothing for what has no descriptor', () => {
    assert.equal(send(new net.Socket()), null);
    assert.equal(send(net.createServer()), null);
    const udp = dgram.createSocket('udp4');
    const travel = send(udp);
    if (travel) assert.equal(travel.dup, true);
    udp.close();
  });
});

describe('a socket that is moved', () => {
  it('stays as it is until it leaves', async () => {
    const one = await connection();
    const handle = internals.handleOf(one.socket);
    const travel = send(one.socket);
    assert.equal(travel.dup, false);
    assert.equal(travel.fd, handle.fd);
    assert.equal(travel.flags, FLAG.COUNTED);
    assert.equal(internals.handleOf(one.socket), handle);
    one.client.write('still read here');
    assert.equal(String((await once(one.socket, 'data'))[0]), 'still read here');
    await closeAll(one);
  });

  it('is an empty shell when it left, and its handle is closed when it is taken', async () => {
    const one = await connection();
    one.socket.setTimeout(100_000);
    const travel = send(one.socket);
    travel.detach();
    assert.equal(internals.handleOf(one.socket), null);
    assert.equal(one.socket.destroyed, false);
    assert.equal(one.socket.timeout, 0);
    one.client.resume();
    const ended = once(one.client, 'close');
    travel.taken();
    await ended;
    bookkeeping.end(); // it did not go to a child that would report its end
    await closeAll(one);
  });

  it('comes back as a new socket, with what had been read of it', async () => {
    const one = await connection();
    one.client.write('head');
    await once(one.socket, 'readable');
    const travel = send(one.socket);
    assert.equal(String(travel.buffered), 'head');
    travel.detach();
    one.client.write(' tail');
    const back = travel.returned(true);
    assert.notEqual(back, one.socket);
    let text = '';
    back.on('data', (chunk) => {
      text += chunk;
    });
    await until(() => text === 'head tail');
    back.destroy();
    await closeAll({ ...one, socket: back });
  });

  it('is closed when it comes back and nobody wants it', async () => {
    const one = await connection();
    const travel = send(one.socket);
    travel.detach();
    one.client.resume();
    const ended = once(one.client, 'close');
    assert.equal(travel.returned(false), undefined);
    await ended;
    await closeAll(one);
  });

  it('says that half of it may stay open, and that its writes are pending', async () => {
    const one = await connection({ allowHalfOpen: true });
    assert.equal(send(one.socket).flags, FLAG.COUNTED | FLAG.ALLOW_HALF_OPEN);
    one.client.pause();
    while (one.socket.write(Buffer.alloc(1 << 20)));
    const { flags, dup } = send(one.socket);
    assert.equal(flags, FLAG.COUNTED | FLAG.ALLOW_HALF_OPEN | FLAG.WRITES_PENDING);
    assert.equal(dup, true);
    await closeAll(one);
  });
});

describe('a socket that is kept open', () => {
  it('says so, and comes back as itself', async () => {
    const one = await connection();
    const travel = send(one.socket, { keepOpen: true });
    assert.equal(travel.flags, FLAG.KEPT_OPEN | FLAG.COUNTED);
    travel.detach();
    assert.ok(internals.handleOf(one.socket));
    assert.equal(travel.returned(true), one.socket);
    await closeAll(one);
  });
});

describe('a descriptor that arrived', () => {
  // A socketpair gives descriptors that belong to nobody yet.
  const pair = () => attachment.socketPair();

  it('becomes a socket with what was read of it before, and its half-open state', (done) => {
    const [one, two] = pair();
    const info = { type: TYPE.SOCKET, flags: FLAG.ALLOW_HALF_OPEN, buffered: Buffer.from('head') };
    const ready = (socket) => {
      assert.ok(socket instanceof net.Socket);
      assert.equal(socket.allowHalfOpen, true);
      assert.equal(String(socket.read()), 'head');
      socket.destroy();
      attachment.closeFd(two);
      socket.once('close', () => done());
    };
    handles.got(one, info, bookkeeping, ready, assert.fail);
  });

  it('becomes a native handle', (done) => {
    const [one, two] = pair();
    const ready = (handle) => {
      assert.equal(internals.nativeClassOf(handle), 'Pipe');
      assert.equal(handle.fd, one);
      attachment.closeFd(two);
      handle.close(done);
    };
    handles.got(one, { type: TYPE.NATIVE, flags: 0 }, bookkeeping, ready, assert.fail);
  });

  it('is left to the caller when nothing can be made of it', () => {
    const file = fs.openSync(__filename, 'r');
    const info = { type: TYPE.DGRAM_NATIVE, flags: 0 };
    assert.throws(() => handles.got(file, info, bookkeeping, assert.fail, assert.fail));
    fs.closeSync(file);
  });
});
