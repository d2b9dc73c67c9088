'use strict';

// What a program can have run in the middle of send(): getters, Proxies, methods that it overrides, listeners of 'removeListener'.
// If it throws out of send(), nothing has left and the socket is what it was; else all of it has left. Whatever comes
// behind is told the truth.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const {
  textOf,
  close,
  connectedPair,
  connectionsOf,
  listen,
} = require('../fixtures/socket-clients');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { some } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const fault = new Error('the program threw');
/** The program's, or V8's of what cannot be cloned. */
const ERROR = /the program threw|could not be cloned/;

const fail = () => {
  throw fault;
};

/** Ends each socket, and says what came. */
function receive() {
  process.on('message', (message, socket) => {
    process.send({ type: typeof message, hasSocket: socket !== undefined });
    socket?.end('child');
  });
}

/** Runs `action` and resolves to the errors that nobody caught meanwhile, until `condition` holds. */
async function uncaughtIn(action, condition) {
  const listeners = process.rawListeners('uncaughtException');
  const errors = [];
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => errors.push(error));
  try {
    action();
    await until(() => condition(errors));
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
  return errors;
}

const SURROUNDINGS = ['native', 'node'].flatMap((channel) =>
  ['json', 'advanced'].map((serialization) => [channel, serialization]),
);

for (const [channel, serialization] of some(SURROUNDINGS, 0, 3)) {
  describe(`send() with code of the program in it [${channel}, ${serialization}]`, () => {
    let child;
    let server;
    let socket;
    let client;

    beforeEach(async () => {
      child = forkFunction({ channel, serialization }, receive);
      server = await listen({ pauseOnConnect: true });
      [socket, client] = await connectedPair(server);
    });

    afterEach(async () => {
      client.destroy();
      socket.destroy();
      await close(server);
      child.disconnect();
      assert.deepEqual(await exited(child), { code: 0, signal: null });
    });

    /** A message behind all others arrives, and its callback is its own. */
    async function assertGoesOn() {
      const answer = nextMessage(child);
      const called = new Promise((resolve) => child.send('behind', resolve));
      assert.equal(await called, null);
      assert.deepEqual(await answer, { type: 'string', hasSocket: false });
    }

    const throwing = {
      'a getter of its message': () => ({
        message: {
          get bad() {
            return fail();
          },
        },
      }),
      'a Proxy as its message': () => ({
        message: new Proxy({ a: 1 }, { ownKeys: fail, get: fail }),
      }),
      'an overridden setTimeout()': () => {
        socket.setTimeout = fail;
        return { message: 'x' };
      },
      'a getter of the socket': () => {
        Object.defineProperty(socket, 'writableLength', { get: fail, configurable: true });
        return { message: 'x' };
      },
      'a getter of its options': () => ({
        message: 'x',
        options: {
          get keepOpen() {
            return fail();
          },
        },
      }),
    };
    for (const [what, prepare] of Object.entries(throwing)) {
      itIsBetter(`throws what ${what} throws, and leaves the socket as it was`, async () => {
        let isOver = false;
        socket.setTimeout(100, () => {
          isOver = true;
        });
        const { message, options } = prepare();
        assert.throws(() => child.send(message, socket, options, assert.fail), ERROR);
        delete socket.setTimeout;
        delete socket.writableLength;
        await until(() => isOver, 'its timeout');
        assert.equal(await connectionsOf(server), 1);
        client.write('ping');
        assert.equal(`${await once(socket.resume(), 'data')}`, 'ping');
        await assertGoesOn();
      });
    }

    itIsBetter('puts a timeout back where the message is not accepted', async () => {
      const small = forkFunction({ channel, serialization, maxMessageSize: 65_536 }, receive);
      let isOver = false;
      socket.setTimeout(20, () => {
        isOver = true;
      });
      const message = 'x'.repeat(100_000);
      assert.throws(() => small.send(message, socket), {
        code: 'ERR_FORKWIRE_MESSAGE_TOO_LARGE',
      });
      await until(() => isOver);
      small.disconnect();
      await exited(small);
    });

    itIsBetter('calls what it is told to call once, and sends the first answer', async () => {
      let count = 0;
      const message = {
        get value() {
          count++;
          if (count > 1) fail();
          return 1;
        },
      };
      const answer = nextMessage(child);
      child.send(message, socket);
      assert.deepEqual(await answer, { type: 'object', hasSocket: true });
      assert.equal(count, 1);
      assert.equal(await textOf(client), 'child');
      await assertGoesOn();
    });

    itIsBetter('has left when a listener throws that its detaching enters', async () => {
      const calls = [];
      const answers = messagesOf(child, 2);
      const ended = once(client, 'end');
      socket.on('removeListener', fail);
      socket.on('newListener', fail);
      socket.write(Buffer.alloc(8 << 20)); // so that a writer stays
      client.pause();
      const errors = await uncaughtIn(
        () => {
          child.send('x', socket, (error) => calls.push(['x', error]));
          child.send('y', (error) => calls.push(['y', error]));
          client.resume();
        },
        () => calls.length === 2,
      );
      assert.ok(errors.every((error) => error === fault));
      assert.deepEqual(calls, [
        ['x', null],
        ['y', null],
      ]);
      await ended;
      assert.deepEqual(
        (await answers).map(({ hasSocket }) => hasSocket),
        [true, false],
      );
      await assertGoesOn();
    });

    const behind = {
      'its handle does not stop reading': () => {
        socket._handle.readStop = fail;
      },
      'it does not give its handle away': () => {
        const handle = socket._handle;
        const set = () => {
          delete socket._handle;
          socket._handle = handle;
          fail();
        };
        Object.defineProperty(socket, '_handle', { get: () => handle, set, configurable: true });
      },
      'it does not leave its server': () => {
        const owner = socket._server;
        const set = () => {
          Object.defineProperty(socket, '_server', { value: null, writable: true });
          fail();
        };
        Object.defineProperty(socket, '_server', { get: () => owner, set, configurable: true });
      },
      'its handle throws when it is closed': () => {
        const { _handle: handle } = socket;
        handle.close = () => {
          delete handle.close;
          handle.close();
          fail();
        };
      },
    };
    for (const [what, prepare] of Object.entries(behind)) {
      itIsBetter(`has left where ${what}, and so have others`, async () => {
        const calls = [];
        const [other, otherClient] = await connectedPair(server);
        const answers = messagesOf(child, 2);
        prepare();
        const errors = await uncaughtIn(
          () => {
            child.send('x', socket, (error) => calls.push(['x', error]));
            child.send('y', other, (error) => calls.push(['y', error]));
          },
          (thrown) => calls.length === 2 && thrown.length > 0,
        );
        assert.ok(errors.every((error) => error === fault));
        assert.deepEqual(calls, [
          ['x', null],
          ['y', null],
        ]);
        assert.ok((await answers).every(({ hasSocket }) => hasSocket));
        otherClient.resume();
        await once(otherClient, 'end');
        otherClient.destroy();
        client.destroy();
        await until(async () => (await connectionsOf(server)) === 0);
        await assertGoesOn();
      });
    }

    const noBuffers = {
      'a Proxy of a Buffer': () => new Proxy(Buffer.from('bytes'), {}),
      'an object with the prototype of a Buffer': () => Object.create(Buffer.prototype),
      'an object with the prototype of a typed array': () => Object.create(Uint8Array.prototype),
    };
    for (const [what, make] of Object.entries(noBuffers)) {
      itIsBetter(`sends or throws for ${what}, and the socket with it or not`, async () => {
        const answer = nextMessage(child);
        let thrown = null;
        try {
          child.send(make(), socket);
        } catch (error) {
          thrown = error;
        }
        if (thrown) {
          assert.notEqual(socket._handle, null);
          child.send('instead', socket);
        }
        assert.equal((await answer).hasSocket, true);
        assert.equal(await textOf(client), 'child');
        await assertGoesOn();
      });
    }
  });
}
