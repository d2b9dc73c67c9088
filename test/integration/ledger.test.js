'use strict';

// Who owns a handle that was sent: what comes back and as what, what counts as taken, what waits for what.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const {
  bytesOf,
  close,
  connectedPair,
  connectionsOf,
  listen,
  send,
  textOf,
} = require('../fixtures/socket-clients');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { isAsleep } = require('../helpers/processes');
const { blockUntil, killUnnoticed, resume, stop } = require('../helpers/stopped');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const HANDLE_CREDIT = 512;

/** A child that answers each socket and says what it got. */
function answer() {
  process.on('message', (message, socket) => {
    socket?.end(`${message} by the child`);
    process.send(message);
  });
  process.send('up');
}

async function started(body) {
  const child = forkFunction(body);
  await nextMessage(child);
  return child;
}

async function end(child) {
  child.kill('SIGKILL');
  await exited(child);
}

describe('a handle that nobody took, because the child was killed', () => {
  /** What 'undelivered' gives for `handle`. */
  async function comesBack(handle, options) {
    const child = await started(answer);
    stop(child);
    const back = once(child, 'undelivered');
    child.send('mine', handle, options, () => {});
    child.kill('SIGKILL');
    const [message, object] = await back;
    assert.equal(message, 'mine');
    await exited(child);
    return object;
  }

  itIsBetter('is the very server that was sent, and it still accepts', async () => {
    const server = await listen();
    assert.equal(await comesBack(server), server);
    const [socket, client] = await connectedPair(server);
    socket.end('here');
    assert.equal(await textOf(client), 'here');
    await close(server);
  });

  itIsBetter('is the very dgram.Socket that was sent, and it still receives', async () => {
    const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    assert.equal(await comesBack(socket), socket);
    const received = once(socket, 'message');
    socket.send('hello', socket.address().port, '127.0.0.1');
    assert.equal(String((await received)[0]), 'hello');
    socket.close();
  });

  itIsBetter('is the very native handle that was sent, and it is still open', async () => {
    const server = await listen();
    const handle = server._handle;
    assert.equal(await comesBack(handle), handle);
    assert.ok(handle.fd >= 0);
    await close(server);
  });

  itIsBetter('is the very socket that was sent and kept open, with all its bytes', async () => {
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    assert.equal(await comesBack(socket, { keepOpen: true }), socket);
    assert.equal(await connectionsOf(server), 1);
    client.end('to the sender');
    assert.equal(await textOf(socket), 'to the sender');
    await close(server);
  });

  itIsBetter(
    'is a new socket with its unsent writes, which another child goes on with',
    async () => {
      const bytes = Buffer.alloc(4 << 20, 'x');
      const server = await listen();
      const [socket, client] = await connectedPair(server);
      client.pause();
      socket.write(bytes);
      assert.ok(socket.writableLength > 0);
      const returned = await comesBack(socket);
      assert.notEqual(returned, socket);
      const other = await started(answer);
      other.send('tail', returned);
      const got = await bytesOf(client);
      assert.ok(got.subarray(0, bytes.length).equals(bytes));
      assert.equal(String(got.subarray(bytes.length)), 'tail by the child');
      await until(async () => (await connectionsOf(server)) === 0);
      await close(server);
      await end(other);
    },
  );
});

describe('a socket is taken', () => {
  itIsBetter('when a listener was entered with it, also if that throws', async () => {
    const child = await started(() => {
      process.on('uncaughtException', ({ message }) => process.send(message));
      process.on('message', () => {
        throw new Error('thrown');
      });
      process.send('up');
    });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    let isBack = false;
    child.on('undelivered', () => {
      isBack = true;
    });
    child.send('x', socket);
    assert.equal(await nextMessage(child), 'thrown');
    await end(child);
    assert.equal(isBack, false);
    client.destroy();
    await close(server);
  });

  itIsBetter('when its listener calls process.exit(): only those behind it come back', async () => {
    const child = await started(() => {
      process.on('message', () => process.exit(0));
      process.send('up');
    });
    const server = await listen();
    const pairs = [];
    for (let i = 0; i < 10; i++) pairs.push(await connectedPair(server));
    const back = [];
    child.on('undelivered', (message, socket) => {
      back.push(message);
      socket.end(`back ${message}`);
    });
    stop(child);
    for (const [i, [socket]] of pairs.entries()) child.send(i, socket, () => {});
    resume(child);
    const texts = await Promise.all(pairs.map(([, client]) => textOf(client)));
    assert.deepEqual(texts, ['', ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => `back ${i}`)]);
    assert.deepEqual(back, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await exited(child);
    await close(server);
  });

  itIsBetter('by a child that is dead, if it said so before: that is still read', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
    const file = path.join(folder, 'answered');
    const child = forkFunction({ with: [file] }, (name) => {
      process.on('message', (message, socket) => {
        socket.end(`${message} by the child`);
        require('node:fs').writeFileSync(name, String(message));
      });
      process.send('up');
    });
    await nextMessage(child);
    const hasAnswered = (i) => fs.existsSync(file) && fs.readFileSync(file, 'utf8') === String(i);
    const server = await listen();
    const taken = [await connectedPair(server), await connectedPair(server)];
    const late = await connectedPair(server);
    const back = [];
    child.on('undelivered', (message, socket) => {
      back.push(message);
      socket.end('back');
    });
    for (const [i, [socket]] of taken.entries()) {
      child.send(i, socket);
      // Behind its turn it has said what it took.
      blockUntil(() => hasAnswered(i) && isAsleep(child.pid));
    }
    killUnnoticed(child);
    child.send('late', late[0], () => {});
    const texts = await Promise.all([...taken, late].map(([, client]) => textOf(client)));
    assert.deepEqual(texts, ['0 by the child', '1 by the child', 'back']);
    assert.deepEqual(back, ['late']);
    await exited(child);
    await close(server);
    fs.rmSync(folder, { recursive: true });
  });
});

describe('messages behind a handle that nobody took yet', () => {
  itIsBetter('leave at once within the handle credit, and wait beyond it', async () => {
    const child = await started(() => {
      process.on('message', (message, socket) => {
        socket?.destroy();
        process.send(message);
      });
      process.send('up');
    });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    client.resume();
    stop(child);
    for (let i = 0; i < HANDLE_CREDIT; i++) child.send(i, socket, { keepOpen: true });
    assert.equal(await send(child, 'within'), null);
    let hasLeft = false;
    child.send(HANDLE_CREDIT, socket, { keepOpen: true });
    const behind = send(child, 'beyond').then((error) => {
      hasLeft = true;
      return error;
    });
    assert.equal(await send(child, { cmd: 'NODE_INTERNAL' }), null);
    assert.equal(hasLeft, false);
    const all = messagesOf(child, HANDLE_CREDIT + 3);
    resume(child);
    assert.equal(await behind, null);
    const messages = await all;
    assert.equal(messages.indexOf('within'), HANDLE_CREDIT);
    assert.deepEqual(messages.slice(-2), [HANDLE_CREDIT, 'beyond']);
    socket.destroy();
    await until(async () => (await connectionsOf(server)) === 0);
    await close(server);
    await end(child);
  });
});

describe('send(x) and the end of x in one tick', () => {
  itIsBetter('gives the child a socket that was kept open', async () => {
    const child = await started(answer);
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    child.send('kept', socket, { keepOpen: true });
    socket._handle.close(); // as destroy(), without the shutdown that both processes would see
    socket._handle = null;
    assert.equal(await textOf(client), 'kept by the child');
    socket.destroy();
    await until(async () => (await connectionsOf(server)) === 0);
    await close(server);
    await end(child);
  });

  it('gives the child a native handle', async () => {
    const child = await started(() => {
      process.on('message', (_, handle) => {
        const server = require('node:net').createServer((socket) => socket.end('native'));
        server.listen(handle);
      });
      process.send('up');
    });
    const server = await listen();
    const { port } = server.address();
    child.send('x', server._handle);
    server.close();
    const client = net.connect(port, '127.0.0.1');
    assert.equal(await textOf(client), 'native');
    await end(child);
  });
});

describe('a socket that is kept open', () => {
  itIsBetter('keeps what was read of it, and sends allowHalfOpen', async () => {
    const child = await started(() => {
      process.on('message', (_, socket) => {
        socket.on('data', (data) => process.send(`read ${data}`));
        process.send(socket.allowHalfOpen);
      });
      process.send('up');
    });
    const server = await listen({ allowHalfOpen: true });
    const [socket, client] = await connectedPair(server);
    client.write('for the sender');
    await once(socket, 'readable');
    child.send('x', socket, { keepOpen: true });
    assert.equal(await nextMessage(child), true);
    assert.equal(String(socket.read()), 'for the sender');
    socket.pause();
    client.destroy();
    socket.destroy();
    await end(child);
    await close(server);
  });
});

describe('a handle for a cluster worker', () => {
  const worker = () => {
    const cluster = require('node:cluster');
    const net = require('node:net');
    process.on('message', (_, handle) => {
      const server = handle instanceof net.Server ? handle : net.createServer().listen(handle);
      server.on('connection', (socket) => socket.end(`worker ${cluster.worker.id}`));
      process.send('has it');
    });
    process.send('up');
  };

  /** A process of the kind that cluster.fork() makes: NODE_UNIQUE_ID is what makes a worker. */
  async function startWorker() {
    const child = forkFunction({ env: { ...process.env, NODE_UNIQUE_ID: '7' } }, worker);
    await nextMessage(child);
    return child;
  }

  for (const [kind, handleOf] of Object.entries({
    'net.Server': (server) => server,
    'native TCP handle': (server) => server._handle,
  })) {
    it(`is a usable ${kind}, and nothing of the primary's`, async () => {
      const child = await startWorker();
      const server = await listen();
      const { port } = server.address();
      child.send('x', handleOf(server));
      await nextMessage(child);
      server.close();
      assert.equal(await textOf(net.connect(port, '127.0.0.1')), 'worker 7');
      await end(child);
    });
  }
});
