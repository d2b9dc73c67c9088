'use strict';

// net.Sockets on their way to another process: every byte, every property that is to travel, in both directions.

const assert = require('node:assert/strict');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const clients = require('../fixtures/socket-clients');
const { exited, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { isLong, some } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const { bytesOf, close, connect, connectedPair, connectionsOf, listen, textOf } = clients;

const md5 = (bytes) => createHash('md5').update(bytes).digest('hex');

/** A child that answers with what it read, when the client has ended. */
function echoAtEnd() {
  process.on('message', (_, socket) => {
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => socket.end(Buffer.concat(chunks)));
  });
}

/** A child that says its message to the client. */
function answer() {
  process.on('message', (message, socket) => socket.end(message));
}

async function leave(child, ...servers) {
  for (const server of servers) await close(server);
  child.disconnect();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

describe('a net.Socket', () => {
  it('sent by the parent is answered by the child', async () => {
    const child = forkFunction(answer);
    const server = await listen((socket) => child.send('from the child', socket));
    assert.equal(await textOf(await connect(server)), 'from the child');
    await leave(child, server);
  });

  it('sent by the child is answered by the parent', async () => {
    const child = forkFunction(() => {
      const server = require('node:net').createServer((socket) => {
        process.send('yours', socket);
        server.close();
      });
      server.listen(0, '127.0.0.1', () => process.send(server.address().port));
      process.on('message', () => {});
    });
    const port = await nextMessage(child);
    const client = net.connect(port, '127.0.0.1');
    const [message, socket] = await once(child, 'message');
    assert.equal(message, 'yours');
    socket.end('from the parent');
    assert.equal(await textOf(client), 'from the parent');
    await leave(child);
  });

  it('is one of many in flight, each with its own message', async () => {
    const child = forkFunction(answer);
    const waiting = [];
    const server = await listen((socket) => waiting.push(socket));
    const all = [];
    for (let i = 0; i < 100; i++) all.push(connect(server).then(textOf));
    await until(() => waiting.length === 100);
    const expected = waiting.map((_, i) => `socket ${i}`);
    for (const [i, socket] of waiting.entries()) child.send(expected[i], socket);
    const texts = await Promise.all(all);
    assert.deepEqual(new Set(texts), new Set(expected));
    await leave(child, server);
  });

  itIsBetter('goes to the child while others come from it', async () => {
    const child = forkFunction(() => {
      process.on('message', (message, socket) => process.send(`${message} and back`, socket));
    });
    child.on('message', (message, socket) => socket.end(message));
    let count = 0;
    const server = await listen((socket) => child.send(`${++count}`, socket));
    const all = Array.from({ length: 200 }, async () => textOf(await connect(server)));
    const texts = await Promise.all(all);
    const expected = Array.from({ length: 200 }, (_, i) => `${i + 1} and back`);
    assert.deepEqual(texts.toSorted(), expected.toSorted());
    await leave(child, server);
  });

  it('arrives readable, writable, not paused, not flowing, not half open and without a server', async () => {
    const child = forkFunction(() => {
      process.on('message', (_, socket) => {
        const { readable, writable, readableFlowing, allowHalfOpen, server, destroyed } = socket;
        const isPaused = socket.isPaused();
        const isSocket = socket instanceof require('node:net').Socket;
        process.send({
          isSocket,
          readable,
          writable,
          isPaused,
          readableFlowing,
          allowHalfOpen,
          server,
          destroyed,
          ports: [socket.localPort, socket.remotePort],
        });
        socket.end();
      });
    });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    child.send('look', socket);
    assert.deepEqual(await nextMessage(child), {
      isSocket: true,
      readable: true,
      writable: true,
      isPaused: false,
      readableFlowing: null,
      allowHalfOpen: false,
      server: null,
      destroyed: false,
      ports: [client.remotePort, client.localPort],
    });
    client.resume();
    await once(client, 'close');
    await leave(child, server);
  });

  for (const event of some(['upgrade', 'connection', 'request'], 0, 2)) {
    // Stock's server of a 'request' that was sent cannot be closed.
    const itKeeps = event === 'request' ? itIsBetter : it;
    itKeeps(`of http's '${event}' answers its client's end, as in stock`, async () => {
      const child = forkFunction(() => {
        process.on('message', (_, socket) => {
          socket.on('data', () => socket.write('got'));
          process.send('taken');
        });
      });
      const server = http.createServer();
      server.on(event, (first) => child.send('take', first.socket ?? first));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = net.connect(server.address().port, '127.0.0.1');
      const upgrade = event === 'upgrade' ? 'Connection: Upgrade\r\nUpgrade: x\r\n' : '';
      client.write(`GET / HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`);
      await nextMessage(child);
      client.end('last');
      assert.match(await textOf(client), /^(got)+$/);
      await leave(child, server);
    });
  }

  it('leaves its object without a handle, not destroyed and silent', async () => {
    const child = forkFunction(answer);
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    const events = [];
    for (const name of ['close', 'end', 'error', 'timeout', 'data', 'readable']) {
      socket.on(name, () => events.push(name));
    }
    socket.setTimeout(20);
    child.send('x', socket);
    assert.equal(socket._handle, null);
    client.write('more');
    assert.equal(await textOf(client), 'x');
    await new Promise((resolve) => setTimeout(resolve, 40)); // longer than the timeout that was set
    assert.deepEqual(events, []);
    assert.equal(socket.destroyed, false);
    await leave(child, server);
  });

  itIsBetter('keeps its allowHalfOpen', async () => {
    const child = forkFunction(() => {
      process.on('message', (expected, socket) => {
        process.send(socket.allowHalfOpen === expected);
        socket.on('end', () => setImmediate(() => socket.end(`${socket.writable}`)));
        socket.resume();
      });
    });
    for (const allowHalfOpen of [true, false]) {
      const server = await listen({ allowHalfOpen });
      const [socket, client] = await connectedPair(server);
      child.send(allowHalfOpen, socket);
      assert.equal(await nextMessage(child), true);
      client.end();
      assert.equal(await textOf(client), allowHalfOpen ? 'true' : '');
      await close(server);
    }
    await leave(child);
  });

  it('that is kept open can be used by both processes', async () => {
    const child = forkFunction(() => {
      process.on('message', (_, socket) => {
        socket.write('child ');
        socket.once('data', (data) => {
          process.send(`${data}`);
          socket.destroy();
        });
      });
    });
    const server = await listen({ pauseOnConnect: true }); // what the client says is for the child
    const [socket, client] = await connectedPair(server);
    child.send('kept', socket, { keepOpen: true });
    const [first] = await once(client, 'data');
    assert.equal(`${first}`, 'child ');
    client.write('to the child');
    assert.equal(await nextMessage(child), 'to the child');
    assert.equal(socket.destroyed, false);
    socket.end('parent');
    assert.equal(await textOf(client), 'parent');
    socket.destroy();
    await leave(child, server);
  });
});

describe('the bytes of a client', () => {
  /** Sends a socket of a client that said `first` before and says `rest` after it. */
  async function sendReading(prepare, first, rest) {
    const child = forkFunction(echoAtEnd);
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    client.write(first);
    const expected = (await prepare(socket, first)) ?? first;
    child.send('go on', socket);
    client.end(rest);
    const bytes = await bytesOf(client);
    assert.equal(bytes.length, expected.length + rest.length);
    assert.equal(md5(bytes), md5(Buffer.concat([expected, rest])));
    await leave(child, server);
  }

  const buffered = (socket, size) => until(() => socket.readableLength >= size);

  itIsBetter('that lay in the readable buffer arrive first', async () => {
    const first = randomBytes(10_000);
    await sendReading(
      async (socket) => {
        socket.on('readable', () => {});
        await buffered(socket, first.length);
      },
      first,
      randomBytes(2_000_000),
    );
  });

  itIsBetter('arrive from where the sender stopped reading', async () => {
    await sendReading(
      async (socket, first) => {
        await buffered(socket, first.length);
        assert.equal(socket.read(1234).length, 1234);
        return first.subarray(1234);
      },
      randomBytes(9000),
      randomBytes(100_000),
    );
  });

  itIsBetter('that were taken out and unshifted arrive first', async () => {
    await sendReading(
      async (socket) => {
        const [head] = await once(socket, 'data');
        socket.pause();
        socket.unshift(head);
      },
      Buffer.from('GET / HTTP/1.1\r\n'),
      randomBytes(50_000),
    );
  });

  itIsBetter('that were read by a paused socket arrive first', async () => {
    await sendReading(
      async (socket) => {
        socket.pause();
        socket.resume();
        socket.pause();
      },
      randomBytes(60_000),
      randomBytes(60_000),
    );
  });

  for (const encoding of some(['utf8', 'utf16le', 'base64', 'hex', 'latin1'], 0, 2)) {
    itIsBetter(`arrive as they were sent where the sender read them as ${encoding}`, async () => {
      // Cut within a character: two bytes of three, and of base64's three.
      const whole = Buffer.from('naïve 日本 😀 — ÿ'.repeat(20));
      const cut = whole.lastIndexOf(Buffer.from('日本')) + 2;
      await sendReading(
        async (socket) => {
          socket.setEncoding(encoding);
          socket.on('readable', () => {});
          await until(() => socket.bytesRead === cut);
        },
        encoding === 'utf8' ? whole.subarray(0, cut) : randomBytes(cut),
        encoding === 'utf8' ? whole.subarray(cut) : randomBytes(7),
      );
    });
  }

  itIsBetter('of a character that the sender had read only half of arrive as a whole', async () => {
    const euro = Buffer.from('€');
    await sendReading(
      async (socket) => {
        socket.setEncoding('utf8');
        assert.equal((await once(socket, 'data'))[0], 'price: ');
        assert.equal(socket.bytesRead, 9); // the decoder keeps two bytes
        return euro.subarray(0, 2);
      },
      Buffer.concat([Buffer.from('price: '), euro.subarray(0, 2)]),
      euro.subarray(2),
    );
  });

  itIsBetter('that come during and after send() are all the receiver reads', async () => {
    const COUNT = isLong ? 500 : 150;
    const child = forkFunction(echoAtEnd);
    let accepted = 0;
    const server = await listen({ backlog: COUNT }, (socket) => {
      // At once, in the next turn, and when something was read.
      const turn = accepted++ % 3;
      if (turn === 0) child.send('now', socket);
      else if (turn === 1) setImmediate(() => child.send('soon', socket));
      else socket.once('readable', () => child.send('read', socket));
    });
    async function talk(_, index) {
      const client = await connect(server);
      const parts = Array.from({ length: 5 }, (_, i) => `${index}:${i};`.repeat(i * 50 + 1));
      for (const part of parts) {
        client.write(part);
        await new Promise(setImmediate);
      }
      client.end();
      assert.equal(await textOf(client), parts.join(''));
    }
    await Promise.all(Array.from({ length: COUNT }, talk));
    assert.equal(accepted, COUNT);
    await leave(child, server);
  });

  itIsBetter('go through while a socket is handed from child to child', async () => {
    const pass = () => process.on('message', (message, socket) => process.send(message, socket));
    const children = [forkFunction(pass), forkFunction(pass), forkFunction(pass)];
    const last = forkFunction(echoAtEnd);
    children.forEach((child, i) => {
      const next = children[i + 1] ?? last;
      child.on('message', (message, socket) => next.send(message, socket));
    });
    const server = await listen((socket) => children[0].send('round', socket));
    async function talk() {
      const client = await connect(server);
      const bytes = randomBytes(200_000);
      for (let i = 0; i < bytes.length; i += 20_000) {
        client.write(bytes.subarray(i, i + 20_000));
        await new Promise(setImmediate);
      }
      client.end();
      assert.equal(md5(await bytesOf(client)), md5(bytes));
    }
    await Promise.all(Array.from({ length: 20 }, talk));
    await close(server);
    for (const child of [...children, last]) await leave(child);
  });

  itIsBetter('that were read stay with a socket that comes back', async () => {
    const child = forkFunction(() => {});
    await once(child, 'spawn');
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    client.write('before ');
    await buffered(socket, 7);
    child.send('nobody listens', socket);
    client.end('and after');
    const [message, again] = await once(child, 'undelivered');
    assert.equal(message, 'nobody listens');
    const text = await textOf(again);
    assert.equal(text, 'before and after');
    await exited(child);
    client.resume();
    await close(server);
  });
});

describe('unsent writes', () => {
  itIsBetter('reach the client before what the new owner writes', async () => {
    const child = forkFunction(() => {
      process.on('message', (_, socket) => {
        socket.end('CHILD');
        process.send('ended');
      });
    });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    const bytes = randomBytes(8_000_000);
    socket.write(bytes);
    child.send('mine', socket);
    await nextMessage(child);
    const got = await bytesOf(client);
    assert.equal(got.length, bytes.length + 5);
    assert.equal(md5(got), md5(Buffer.concat([bytes, Buffer.from('CHILD')])));
    await leave(child, server);
  });
});

describe('the classic child, which only calls socket.end()', () => {
  itIsBetter(
    'closes a connection whose client sent a request, and it is counted down',
    async () => {
      const child = forkFunction(answer);
      const server = await listen((socket) => child.send('Child handled it.', socket));
      const client = await connect(server);
      client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      assert.equal(await textOf(client), 'Child handled it.');
      await until(async () => (await connectionsOf(server)) === 0);
      await leave(child, server);
    },
  );

  itIsBetter('also closes one whose client goes on sending', async () => {
    const child = forkFunction(answer);
    const server = await listen((socket) => child.send('enough', socket));
    const client = await connect(server, { allowHalfOpen: true });
    client.write(randomBytes(3_000_000));
    assert.equal(await textOf(client), 'enough');
    client.end();
    await until(async () => (await connectionsOf(server)) === 0);
    await leave(child, server);
  });
});

describe('a connection of an http server', () => {
  itIsBetter(
    'loses its parser and response when it is sent, and the child answers it',
    async () => {
      const child = forkFunction(answer);
      const sent = [];
      const server = http.createServer((request, response) => {
        const { socket } = request;
        child.send('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfrom the child', socket);
        sent.push(socket.parser, socket._httpMessage, response.socket);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const request = http.get({ port: server.address().port, agent: false });
      const [response] = await once(request, 'response');
      assert.equal(await textOf(response), 'from the child');
      assert.deepEqual(sent, [null, null, null]);
      await leave(child, server);
    },
  );

  it('can be served by an http server of the child', async () => {
    const child = forkFunction(() => {
      const http = require('node:http');
      const server = http.createServer((request, response) => {
        response.end(`${request.method} ${request.url} ${request.socket.server === server}`);
      });
      process.on('message', (_, socket) => {
        server.emit('connection', socket);
      });
    });
    const server = await listen({ pauseOnConnect: true }, (socket) => child.send('serve', socket));
    const get = async (path) => {
      const options = { port: server.address().port, path, agent: false };
      const [response] = await once(http.get(options), 'response');
      return textOf(response);
    };
    const texts = await Promise.all(['/a', '/b', '/c'].map(get));
    assert.deepEqual(texts, ['GET /a true', 'GET /b true', 'GET /c true']);
    await leave(child, server);
  });
});
