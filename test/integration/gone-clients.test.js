'use strict';

// Clients that go away before their socket is sent: no fault of the program that sends it.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const {
  close,
  connectedPair,
  connectionsOf,
  listen,
  send,
  textOf,
} = require('../fixtures/socket-clients');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { fixture, forkFunction } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');
const { isLong } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const CLOSED = 'ERR_FORKWIRE_HANDLE_CLOSED';

/** Says for each message whether a handle came with it. */
function report() {
  process.on('message', (message, handle) => {
    process.send({ message, hasHandle: handle !== undefined });
    handle?.end('from the child');
  });
}

/** A socket of the server whose client is gone, as Node has found out. */
async function goneSocket(server, leave = (client) => client.resetAndDestroy()) {
  const [socket, client] = await connectedPair(server);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {}).resume();
  leave(client);
  await closed;
  return socket;
}

describe('a socket whose client is gone when it is sent', () => {
  for (const channel of ['native', 'node']) {
    describe(`on the ${channel} wire`, () => {
      let child;
      let server;

      beforeEach(async () => {
        child = forkFunction({ channel }, report);
        server = await listen();
      });

      afterEach(async () => {
        await close(server);
        child.disconnect();
        assert.deepEqual(await exited(child), { code: 0, signal: null });
      });

      const ways = {
        reset: (client) => client.resetAndDestroy(),
        'ended its side': (client) => client.end(),
      };
      for (const [how, leave] of Object.entries(ways)) {
        itIsBetter(
          `is told to the callback where it ${how}; its message does not leave`,
          async () => {
            const socket = await goneSocket(server, leave);
            const error = await send(child, 'gone', socket);
            assert.equal(error.code, CLOSED);
            assert.equal((await send(child, 'gone', socket, { keepOpen: true })).code, CLOSED);
            child.send('next');
            assert.deepEqual(await nextMessage(child), { message: 'next', hasHandle: false });
            assert.equal(await connectionsOf(server), 0);
          },
        );
      }

      itIsBetter('is told behind the callbacks of the messages before it', async () => {
        const socket = await goneSocket(server);
        const [open, client] = await connectedPair(server);
        const calls = [];
        const note = (name) => (error) => calls.push([name, error?.code]);
        child.send('x'.repeat(1 << 20), note('large'));
        child.send('gone', socket, note('gone'));
        child.send('open', open, note('open'));
        await messagesOf(child, 2);
        await until(() => calls.length === 3);
        assert.deepEqual(calls, [
          ['large', undefined],
          ['gone', CLOSED],
          ['open', undefined],
        ]);
        assert.equal(await textOf(client), 'from the child');
      });

      itIsBetter('is an error event where there is no callback but a listener', async () => {
        const socket = await goneSocket(server);
        child.send('gone', socket); // nobody listens: nothing happens
        const failed = new Promise((resolve) => child.once('error', resolve));
        child.send('gone', socket);
        assert.equal((await failed).code, CLOSED);
      });

      itIsBetter('ends the process at no moment, whatever its clients do', async () => {
        const args = [
          fixture('sending-server.js'),
          `${Date.now() % 1e6}`,
          isLong ? '60' : '20',
          channel,
        ];
        const { code, stdout, stderr } = await run(process.execPath, args);
        assert.equal(code, 0, stderr);
        const { sent, lonely, waiting, ...fates } = JSON.parse(stdout);
        assert.equal(lonely, 0, 'a message came without its handle');
        assert.equal(waiting, 0, 'a callback did not come');
        assert.deepEqual(
          Object.keys(fates).filter((fate) => fate !== 'accepted' && fate !== CLOSED),
          [],
        );
        assert.ok(sent > 0, `${sent} were sent`);
      });
    });
  }

  itIsBetter('is no error of the empty shell whose writes are under way', async () => {
    const child = forkFunction(() => {
      process.on('message', (_message, socket) => socket.on('error', () => process.disconnect()));
    });
    const server = await listen({ pauseOnConnect: true });
    const [socket, client] = await connectedPair(server);
    client.pause();
    socket.write(Buffer.alloc(16 << 20));
    child.send('socket', socket);
    await until(() => socket._handle === null);
    client.resetAndDestroy();
    await once(child, 'disconnect');
    await close(server);
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });
});
