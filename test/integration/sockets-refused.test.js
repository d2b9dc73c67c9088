'use strict';

// Sockets that cannot be sent, or not any more: what send() does, and that it leaves them as they were.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const {
  close,
  connect,
  connectedPair,
  connectionsOf,
  listen,
  send,
  textOf,
} = require('../fixtures/socket-clients');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { itIsBetter } = require('../helpers/subject');

let child;
let server;

/** Says for each message whether a handle came with it, and ends the socket. */
function report() {
  process.on('message', (message, handle) => {
    process.send({ message, handle: handle === undefined ? 'undefined' : handle.constructor.name });
    if (handle?.end) handle.end('from the child');
    else handle?.close();
  });
}

async function assertUsable(socket, client) {
  assert.equal(socket.destroyed, false);
  assert.notEqual(socket._handle, null);
  client.write('ping');
  assert.equal(`${await once(socket, 'data')}`, 'ping');
  socket.end('pong');
  assert.equal(await textOf(client), 'pong');
}

const STATE = { code: 'ERR_FORKWIRE_HANDLE_STATE' };

describe('send() of', () => {
  beforeEach(async () => {
    child = forkFunction(report);
    server = await listen();
  });

  afterEach(async () => {
    await close(server);
    child.disconnect();
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  describe('a socket that is refused', () => {
    itIsBetter('because it still connects is untouched and connects', async () => {
      const socket = net.connect(server.address().port, '127.0.0.1');
      const accepted = once(server, 'connection');
      assert.throws(() => child.send('x', socket), { ...STATE, message: /connecting/ });
      assert.equal(socket.connecting, true);
      await once(socket, 'connect');
      const [other] = await accepted;
      await assertUsable(socket, other);
    });

    itIsBetter('because it is a TLSSocket goes on encrypting', async () => {
      const psk = { psk: Buffer.alloc(16, 7), identity: 'test' };
      const options = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
      const secure = tls.createServer({ ...options, pskCallback: () => psk.psk }).listen(0);
      await once(secure, 'listening');
      const accepted = once(secure, 'secureConnection');
      const client = tls.connect({
        ...options,
        port: secure.address().port,
        pskCallback: () => psk,
        checkServerIdentity() {},
      });
      const [socket] = await accepted;
      assert.throws(() => child.send('x', socket), { ...STATE, message: /TLSSocket/ });
      assert.throws(() => child.send('x', client), STATE);
      await assertUsable(socket, client);
      await close(secure);
    });

    const circular = {};
    circular.self = circular;
    const messages = [
      { what: 'is circular', message: circular, error: { name: 'TypeError', message: /circular/ } },
      { what: 'holds a BigInt', message: { big: 1n }, error: { name: 'TypeError' } },
      {
        what: 'has a getter that throws',
        message: {
          get bad() {
            throw new RangeError('getter');
          },
        },
        error: { name: 'RangeError' },
      },
      { what: 'is undefined', message: undefined, error: { code: 'ERR_MISSING_ARGS' } },
      { what: 'is a function', message() {}, error: { code: 'ERR_INVALID_ARG_TYPE' } },
    ];
    for (const { what, message, error } of messages) {
      itIsBetter(
        `because its message ${what} can be used, counts, and can be sent again`,
        async () => {
          const [socket, client] = await connectedPair(server);
          assert.throws(() => child.send(message, socket), error);
          assert.equal(await connectionsOf(server), 1);
          client.write('still read here');
          assert.equal(`${await once(socket, 'data')}`, 'still read here');
          child.send('right', socket);
          assert.deepEqual(await nextMessage(child), { message: 'right', handle: 'Socket' });
          assert.equal(await textOf(client), 'from the child');
        },
      );
    }

    itIsBetter('because its message cannot be cloned can be used', async () => {
      const other = forkFunction({ serialization: 'advanced' }, report);
      const [socket, client] = await connectedPair(server);
      assert.throws(() => other.send({ symbol: Symbol('x') }, socket), /could not be cloned/);
      assert.equal(await connectionsOf(server), 1);
      await assertUsable(socket, client);
      other.disconnect();
      await exited(other);
    });

    it('because the channel is closed can be used', async () => {
      const other = forkFunction(report);
      const [socket, client] = await connectedPair(server);
      other.disconnect();
      const error = await send(other, 'x', socket);
      assert.equal(error.code, 'ERR_IPC_CHANNEL_CLOSED');
      assert.equal(await connectionsOf(server), 1);
      await assertUsable(socket, client);
      await exited(other);
    });
  });

  describe('a message without a descriptor', () => {
    it('goes alone where the socket was sent before', async () => {
      const [socket, client] = await connectedPair(server);
      const messages = messagesOf(child, 3);
      child.send('first', socket);
      child.send('second', socket);
      child.send('third', socket);
      assert.deepEqual(await messages, [
        { message: 'first', handle: 'Socket' },
        { message: 'second', handle: 'undefined' },
        { message: 'third', handle: 'undefined' },
      ]);
      assert.equal(await textOf(client), 'from the child');
    });

    it('goes alone where the socket has no handle', async () => {
      child.send('never connected', new net.Socket());
      assert.deepEqual(await nextMessage(child), {
        message: 'never connected',
        handle: 'undefined',
      });
    });

    it('goes alone where the server does not listen', async () => {
      const closed = await listen();
      await close(closed);
      child.send('closed', closed);
      child.send('never', net.createServer());
      assert.deepEqual(await messagesOf(child, 2), [
        { message: 'closed', handle: 'undefined' },
        { message: 'never', handle: 'undefined' },
      ]);
    });

    it('goes alone where the handle is falsy', async () => {
      const messages = messagesOf(child, 4);
      for (const handle of [undefined, null, 0, '']) child.send('alone', handle);
      for (const { handle } of await messages) assert.equal(handle, 'undefined');
    });
  });

  describe('send() with something that is no handle', () => {
    it('throws ERR_INVALID_HANDLE_TYPE', () => {
      for (const handle of [
        {},
        [],
        'socket',
        5,
        Symbol('x'),
        { _handle: null },
        new EventTarget(),
      ]) {
        assert.throws(() => child.send('x', handle), {
          code: 'ERR_INVALID_HANDLE_TYPE',
          name: 'TypeError',
        });
      }
    });

    it('reports EBADF where the dgram socket is not bound', async () => {
      const socket = dgram.createSocket('udp4');
      const error = await send(child, 'x', socket);
      assert.deepEqual([error.code, error.syscall], ['EBADF', 'write']);
      const emitted = once(child, 'error').catch((reason) => reason);
      child.send('x', socket);
      const reported = await emitted;
      assert.equal((Array.isArray(reported) ? reported[0] : reported).code, 'EBADF');
      socket.close();
    });
  });

  describe('a client', () => {
    it('that is gone when its socket is sent is no error', async () => {
      const [socket, client] = await connectedPair(server, { allowHalfOpen: true });
      client.destroy();
      child.send('gone', socket);
      assert.deepEqual(await nextMessage(child), { message: 'gone', handle: 'Socket' });
      const again = await connect(server);
      again.destroy();
    });
  });
});
