'use strict';

// Many sockets at once: order, bursts, receivers that are slow, short of descriptors, stopped or killed.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const {
  close,
  connect,
  connectedPair,
  connectionsOf,
  listen,
  send,
  textOf,
} = require('../fixtures/socket-clients');
const { descriptorsOf } = require('../helpers/descriptors');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { blockUntil, resume, stop } = require('../helpers/stopped');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const HANDLE_CREDIT = 512;

async function leave(child) {
  child.disconnect();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

/** `count` accepted sockets and their clients. */
async function pairs(server, count) {
  const sockets = [];
  const clients = [];
  for (let i = 0; i < count; i++) {
    const [socket, client] = await connectedPair(server);
    sockets.push(socket);
    clients.push(client);
  }
  return { sockets, clients };
}

/** A child that tells what it got, in order, and answers with it. */
function answer() {
  process.on('message', (message, socket) => {
    socket?.end(`${message} by ${process.pid}`);
    process.send(socket ? `${message} with a socket` : message);
  });
}

describe('more handles than may be on their way, sent in one turn of the loop', () => {
  const count = 3 * HANDLE_CREDIT;

  itIsBetter('all arrive before it ends, and answers to them wait in order', async () => {
    const file = path.join(os.tmpdir(), `forkwire-${process.pid}-${Date.now()}`);
    const child = forkFunction({ with: [count, file] }, (n, name) => {
      let got = 0;
      process.on('message', (message, handle) => {
        if (!handle) return;
        handle.close();
        process.send(message);
        if (++got === n) require('node:fs').writeFileSync(name, '');
      });
      process.send('up');
    });
    await nextMessage(child);
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    const answers = messagesOf(child, count);
    for (let i = 0; i < count; i++) child.send(i, socket._handle);
    blockUntil(() => {
      child.send('and so on');
      return fs.existsSync(file);
    });
    fs.unlinkSync(file);
    assert.deepEqual(
      await answers,
      Array.from({ length: count }, (_, i) => i),
    );
    socket.destroy();
    client.destroy();
    await close(server);
    await leave(child);
  });
});

describe('messages with and without handles', () => {
  // Which of 300 have one: neither regular nor random.
  const hasHandle = (i) => (i * i) % 7 < 3;

  it('keep their order from parent to child', async () => {
    const child = forkFunction(answer);
    const server = await listen();
    const { sockets, clients } = await pairs(server, 215);
    const messages = messagesOf(child, 300);
    const expected = [];
    for (let i = 0; i < 300; i++) {
      const socket = hasHandle(i) ? sockets.pop() : undefined;
      child.send(i, socket);
      expected.push(socket ? `${i} with a socket` : i);
    }
    assert.deepEqual(await messages, expected);
    for (const socket of sockets) socket.destroy();
    for (const client of clients) client.resume();
    await close(server);
    await leave(child);
  });

  it('keep their order from child to parent', async () => {
    const child = forkFunction(() => {
      const net = require('node:net');
      const sockets = [];
      const clients = [];
      const server = net.createServer((socket) => {
        sockets.push(socket);
        if (sockets.length < 215) return;
        server.close();
        for (let i = 0; i < 300; i++) process.send(i, (i * i) % 7 < 3 ? sockets.pop() : undefined);
        for (const socket of sockets) socket.destroy();
      });
      server.listen(0, '127.0.0.1', () => {
        for (let i = 0; i < 215; i++) clients.push(net.connect(server.address().port).resume());
      });
      process.on('message', () => {});
    });
    const got = [];
    await new Promise((resolve) => {
      child.on('message', (message, socket) => {
        got.push([message, socket !== undefined]);
        socket?.end();
        socket?.resume();
        if (got.length === 300) resolve();
      });
    });
    assert.deepEqual(
      got,
      Array.from({ length: 300 }, (_, i) => [i, hasHandle(i)]),
    );
    await leave(child);
  });
});

describe('sockets on their way to a child that is killed', () => {
  itIsBetter('come back alive, in order, and are answered by another child', async () => {
    const COUNT = HANDLE_CREDIT + 88;
    const children = [forkFunction(answer), forkFunction(answer)];
    const [child, other] = children;
    await Promise.all(children.map((each) => once(each, 'spawn')));
    const server = await listen({ backlog: COUNT });
    const { sockets, clients } = await pairs(server, COUNT);
    stop(child);
    const events = [];
    const callbacks = [];
    child.on('undelivered', (message, socket) => {
      assert.equal(socket.destroyed, false);
      events.push(message);
      other.send(message, socket);
    });
    for (const name of ['error', 'disconnect', 'exit', 'close']) {
      child.on(name, () => events.push(name));
    }
    for (const [i, socket] of sockets.entries()) {
      child.send(i, socket, (error) => callbacks.push([i, error?.code ?? null]));
    }
    assert.equal(await connectionsOf(server), COUNT);
    child.kill('SIGKILL');
    const texts = await Promise.all(clients.map(textOf));
    assert.deepEqual(
      texts,
      Array.from({ length: COUNT }, (_, i) => `${i} by ${other.pid}`),
    );
    await until(() => events.includes('close'));
    const order = Array.from({ length: COUNT }, (_, i) => i);
    assert.deepEqual(events, [...order, 'disconnect', 'exit', 'close']);
    assert.deepEqual(
      callbacks.map(([i]) => i).toSorted((a, b) => a - b),
      order,
    );
    for (const [i, code] of callbacks) {
      assert.ok(code === null || (i >= HANDLE_CREDIT && code === 'EPIPE'), `${i}: ${code}`);
    }
    await until(async () => (await connectionsOf(server)) === 0);
    await close(server);
    await leave(other);
  });

  itIsBetter('are closed where nobody listens for them, so that no client hangs', async () => {
    const child = forkFunction(answer);
    await once(child, 'spawn');
    const server = await listen();
    const { sockets, clients } = await pairs(server, 20);
    stop(child);
    for (const socket of sockets) child.send('x', socket);
    child.kill('SIGKILL');
    const texts = await Promise.all(clients.map((client) => textOf(client).catch(() => '')));
    assert.deepEqual(new Set(texts), new Set(['']));
    await close(server);
    await exited(child);
  });

  itIsBetter('come back as soon as they are refused a second time', async () => {
    const first = forkFunction(() => {});
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    const back = once(first, 'undelivered');
    first.send('one', socket);
    const [, again] = await back;
    const second = forkFunction(() => {});
    const backOnceMore = once(second, 'undelivered');
    second.send('two', again);
    const [message, last] = await backOnceMore;
    assert.equal(message, 'two');
    assert.equal(await connectionsOf(server), 1);
    last.end('parent after all');
    assert.equal(await textOf(client), 'parent after all');
    await close(server);
    await exited(first);
    await exited(second);
  });
});

describe('a socket that a child sends to a parent where nobody listens', () => {
  itIsBetter('comes back to the child, which answers it', async () => {
    const child = forkFunction({ stdio: ['ignore', 'pipe', 'inherit', 'ipc'] }, () => {
      const server = require('node:net').createServer((socket) => {
        socket.once('readable', () => process.send('mine again:', socket));
        server.close(() => console.log('closed'));
      });
      server.listen(0, '127.0.0.1', () => console.log(server.address().port));
      process.on('undelivered', (message, socket) => {
        socket.on('data', (data) => socket.end(`${message} ${data}`));
      });
      process.on('disconnect', () => {});
    });
    const [port] = await once(child.stdout, 'data');
    const before = descriptorsOf().size;
    const client = net.connect(Number(port), '127.0.0.1');
    client.write('hello');
    await until(() => descriptorsOf().size === before + 2); // the other end has landed here, and stays untouched
    child.disconnect();
    assert.equal(await textOf(client), 'mine again: hello');
    assert.equal(`${(await once(child.stdout, 'data'))[0]}`, 'closed\n');
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });
});

describe('a socket that its client resets while it waits for credit', () => {
  itIsBetter('is reported to its sender, and its message is not delivered', async () => {
    const child = forkFunction(answer);
    await once(child, 'spawn');
    const server = await listen({ backlog: 600 });
    const { sockets, clients } = await pairs(server, HANDLE_CREDIT + 3);
    stop(child);
    const callbacks = sockets.map((socket, i) => send(child, i, socket));
    const plain = send(child, 'behind them');
    const reset = HANDLE_CREDIT + 1;
    clients[reset].resetAndDestroy();
    // The reset is there when this client, who came later, is.
    (await connect(server)).destroy();
    const messages = messagesOf(child, HANDLE_CREDIT + 3);
    resume(child);
    const expected = sockets.map((_, i) => `${i} with a socket`).toSpliced(reset, 1);
    assert.deepEqual(await messages, [...expected, 'behind them']);
    const errors = await Promise.all(callbacks);
    assert.equal(errors[reset].code, 'ERR_FORKWIRE_HANDLE_CLOSED');
    assert.deepEqual(
      errors.filter((error) => error !== null),
      [errors[reset]],
    );
    assert.equal(await plain, null);
    for (const client of clients) client.resume();
    await close(server);
    await leave(child);
  });

  itIsBetter('is an error event where send() had no callback', async () => {
    const child = forkFunction(answer);
    await once(child, 'spawn');
    const server = await listen({ backlog: 600 });
    const { sockets, clients } = await pairs(server, HANDLE_CREDIT + 1);
    stop(child);
    const failed = new Promise((resolve) => child.on('error', resolve));
    for (const socket of sockets) child.send('x', socket);
    clients.at(-1).resetAndDestroy();
    (await connect(server)).destroy();
    resume(child);
    assert.equal((await failed).code, 'ERR_FORKWIRE_HANDLE_CLOSED');
    for (const client of clients) client.resume();
    await close(server);
    await leave(child);
  });
});

describe('a child with 64 descriptors', () => {
  /** Holds up to ten sockets and answers the oldest as the next come. */
  function hold() {
    const held = [];
    const release = () => {
      const [message, socket] = held.shift();
      socket.end(`${message}`);
    };
    process.on('message', (message, socket) => {
      if (message === 'last') {
        while (held.length > 0) release();
        process.send('done');
        return;
      }
      held.push([message, socket]);
      if (held.length === 10) release();
    });
  }

  function forkLimited(body) {
    const limit = 'ulimit -n 64; exec "$0" "$@"';
    return forkFunction(
      { execPath: '/bin/sh', execArgv: ['-c', limit, process.execPath], channel: 'native' },
      body,
    );
  }

  itIsBetter('gets 500 sockets, in order, as it closes earlier ones', async () => {
    const child = forkLimited(hold);
    const server = await listen({ backlog: 500 });
    const { sockets, clients } = await pairs(server, 500);
    const callbacks = sockets.map((socket, i) => send(child, i, socket));
    child.send('last');
    const order = [];
    const texts = clients.map(async (client) => {
      const text = await textOf(client);
      order.push(text);
      return text;
    });
    assert.equal(await nextMessage(child), 'done');
    assert.deepEqual(
      await Promise.all(texts),
      Array.from({ length: 500 }, (_, i) => `${i}`),
    );
    assert.deepEqual(new Set(await Promise.all(callbacks)), new Set([null]));
    assert.equal(new Set(order).size, 500);
    await until(async () => (await connectionsOf(server)) === 0);
    await close(server);
    await leave(child);
  });

  itIsBetter('delivers what comes behind them in its place', async () => {
    const child = forkLimited(() => {
      const got = [];
      process.on('message', (message, server) => {
        got.push(message);
        server?.close();
        if (message === 'last') process.send(got);
      });
    });
    const server = await listen();
    const expected = [];
    for (let i = 0; i < 200; i++) {
      child.send(`plain ${i}`);
      child.send(`server ${i}`, server);
      expected.push(`plain ${i}`, `server ${i}`);
    }
    child.send('last');
    assert.deepEqual(await nextMessage(child), [...expected, 'last']);
    await close(server);
    await leave(child);
  });
});

describe('two processes that send each other more handles than the credit', () => {
  itIsBetter('do not wait for each other for ever', async () => {
    const COUNT = 700;
    const child = forkFunction({ with: [COUNT] }, (count) => {
      const server = require('node:net').createServer();
      let got = 0;
      server.listen(0, '127.0.0.1', () => {
        for (let i = 0; i < count; i++) process.send(i, server);
        server.close();
        process.on('message', (_, handle) => {
          handle.close();
          if (++got === count) process.send('all');
        });
      });
    });
    const server = await listen();
    const got = [];
    const done = new Promise((resolve) => {
      child.on('message', (message, handle) => {
        got.push(message);
        handle?.close();
        if (got.length === COUNT + 1) resolve();
      });
    });
    for (let i = 0; i < COUNT; i++) child.send(i, server);
    await done;
    const numbers = Array.from({ length: COUNT }, (_, i) => i);
    assert.deepEqual(
      got.filter((message) => message !== 'all'),
      numbers,
    );
    await close(server);
    await leave(child);
  });
});

describe('handles that a child does not take before it disconnects', () => {
  itIsBetter('come back in order, and not while it may be sent to', async () => {
    const child = forkFunction(() => {
      setTimeout(() => process.disconnect(), 300); // what came until then waits for a listener
    });
    const server = await listen();
    const returned = [];
    child.on('undelivered', (message) => returned.push([message, child.connected]));
    for (let i = 0; i < 5; i++) child.send(i, server);
    assert.deepEqual(await exited(child), { code: 0, signal: null });
    assert.deepEqual(
      returned,
      [0, 1, 2, 3, 4].map((i) => [i, false]),
    );
    await close(server);
  });
});

describe('two processes that disconnect with more handles to send than the credit', () => {
  /** How long they take. */
  async function disconnectBoth() {
    const options = { credit: { handles: 2 }, with: [10] };
    const child = forkFunction(options, (count) => {
      const server = require('node:net').createServer();
      server.listen(0, '127.0.0.1', () => {
        process.send('up');
        process.once('message', () => {
          for (let i = 0; i < count; i++) process.send(i, server);
          process.disconnect();
          server.close();
        });
      });
    });
    await nextMessage(child);
    const server = await listen();
    const start = performance.now();
    child.send('go');
    for (let i = 0; i < 10; i++) child.send(i, server);
    child.disconnect();
    assert.deepEqual(await exited(child), { code: 0, signal: null });
    await close(server);
    return performance.now() - start;
  }

  itIsBetter('do not wait for each other', async () => {
    // They would wait for five seconds, in each round; a busy machine may need as long for one.
    let took = Infinity;
    for (let round = 0; round < 5 && took > 4000; round++) {
      took = Math.min(took, await disconnectBoth());
    }
    assert.ok(took < 4000, `${took} ms`);
  });
});
