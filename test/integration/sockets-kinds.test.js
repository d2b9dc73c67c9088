'use strict';

// Everything but accepted net.Sockets over TCP: servers, dgram sockets, native handles, unix sockets.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { close, connect, connectedPair, listen, textOf } = require('../fixtures/socket-clients');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { isStock, itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

async function leave(child) {
  child.disconnect();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

/** A child that accepts on the servers it gets until it is told to stop. */
function accept() {
  const servers = [];
  process.on('message', (message, server) => {
    if (message === 'stop') {
      for (const each of servers) each.close();
      return;
    }
    servers.push(server);
    server.on('connection', (socket) => socket.end(`child ${message}`));
    const { port, family } = server.address();
    process.send({ listening: server.listening, port, family });
  });
}

describe('a net.Server', () => {
  it('is shared by several children, and can be closed at once by its sender', async () => {
    const children = [forkFunction(accept), forkFunction(accept)];
    const server = await listen();
    const { port } = server.address();
    const ready = children.map(nextMessage);
    children.forEach((child, index) => {
      child.send(index, server);
    });
    server.close();
    for (const message of await Promise.all(ready)) {
      assert.deepEqual(message, { listening: true, port, family: 'IPv4' });
    }
    const texts = [];
    while (new Set(texts).size < 2) {
      texts.push(await textOf(net.connect(port, '127.0.0.1')));
      assert.match(texts.at(-1), /^child [01]$/);
      if (texts.length === 20) children[Number(texts[0].at(-1))].send('stop');
    }
    for (const child of children) {
      child.send('stop');
      await leave(child);
    }
  });

  it('still accepts in its sender', async () => {
    const child = forkFunction(() => {
      process.on('message', (_, server) => {
        server.close();
        process.send('closed');
      });
    });
    const server = await listen((socket) => socket.end('parent'));
    child.send('look', server);
    await nextMessage(child);
    assert.equal(await textOf(await connect(server)), 'parent');
    await close(server);
    await leave(child);
  });

  it('comes from the child to the parent', async () => {
    const child = forkFunction(() => {
      const server = require('node:net').createServer();
      server.listen(0, '127.0.0.1', () => {
        process.send('yours', server);
        server.close();
      });
    });
    const [message, server] = await once(child, 'message');
    assert.equal(message, 'yours');
    assert.ok(server instanceof net.Server);
    assert.equal(server.listening, true);
    server.on('connection', (socket) => socket.end('parent'));
    assert.equal(await textOf(await connect(server)), 'parent');
    await close(server);
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  it('is received in its place among messages, though it is usable only later', async () => {
    const child = forkFunction(() => {
      process.on('message', (message, server) => {
        process.send(server ? `${message} ${server.listening}` : message);
        server?.close();
      });
    });
    const server = await listen();
    const messages = messagesOf(child, 6);
    child.send('1');
    child.send('2', server);
    child.send('3');
    child.send('4', server);
    child.send('5', server);
    child.send('6');
    assert.deepEqual(await messages, ['1', '2 true', '3', '4 true', '5 true', '6']);
    await close(server);
    await leave(child);
  });
});

for (const type of ['udp4', 'udp6']) {
  const address = type === 'udp4' ? '127.0.0.1' : '::1';

  describe(`a dgram.Socket of type ${type}`, () => {
    async function bound() {
      const socket = dgram.createSocket(type).bind(0, address);
      await once(socket, 'listening');
      return socket;
    }

    async function ask(port) {
      const client = dgram.createSocket(type);
      client.send('question', port, address);
      const [answer] = await once(client, 'message');
      client.close();
      return `${answer}`;
    }

    it('is used by the child after the parent closed it', async () => {
      const child = forkFunction(() => {
        process.on('message', (_, socket) => {
          socket.on('message', (question, { port, address }) => {
            const text = `${question} answered on ${socket.type}`;
            socket.send(text, port, address, () => socket.close());
          });
          process.send(socket.address());
        });
      });
      const socket = await bound();
      const expected = socket.address();
      child.send('yours', socket);
      socket.close();
      const received = await nextMessage(child);
      assert.deepEqual(received, expected);
      assert.equal(await ask(expected.port), `question answered on ${type}`);
      await leave(child);
    });

    it('comes from the child to the parent, and both have it', async () => {
      const child = forkFunction({ with: [type, address] }, (type, address) => {
        const socket = require('node:dgram')
          .createSocket(type)
          .bind(0, address, () => {
            process.send('shared', socket);
            process.on('message', () => socket.close());
          });
      });
      const [message, socket] = await once(child, 'message');
      assert.equal(message, 'shared');
      assert.ok(socket instanceof dgram.Socket);
      assert.equal(socket.type, type);
      child.send('close');
      await leave(child);
      socket.on('message', (question, { port }) => socket.send(`${question}!`, port, address));
      assert.equal(await ask(socket.address().port), 'question!');
      socket.close();
    });
  });
}

describe('a native handle', () => {
  it('of a listening TCP server arrives as such a handle and accepts', async () => {
    const child = forkFunction(() => {
      process.on('message', (name, handle) => {
        const server = require('node:net').createServer((socket) => {
          socket.end(`${name} ${handle.constructor.name}`);
          server.close();
        });
        server.listen(handle, () => process.send('listening'));
      });
    });
    const server = await listen();
    child.send('native', server._handle);
    await nextMessage(child);
    const { port } = server.address();
    await close(server);
    assert.equal(await textOf(net.connect(port, '127.0.0.1')), 'native TCP');
    await leave(child);
  });

  it('of a TCP connection arrives as such a handle, and the sender keeps its own', async () => {
    const child = forkFunction(() => {
      const net = require('node:net');
      process.on('message', (_, handle) => {
        const socket = new net.Socket({ handle, writable: true, readable: true });
        socket.write(`child ${handle.constructor.name}; `, () => {
          socket.destroy();
          process.send('done');
        });
      });
    });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    child.send('native', socket._handle);
    await nextMessage(child);
    socket.end('parent');
    assert.equal(await textOf(client), 'child TCP; parent');
    await close(server);
    await leave(child);
  });

  it('of UDP arrives as such a handle', async () => {
    const child = forkFunction(() => {
      process.on('message', (_, handle) => {
        const address = {};
        handle.getsockname(address);
        process.send({ name: handle.constructor.name, ...address });
        handle.close();
      });
    });
    const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const state = Object.getOwnPropertySymbols(socket).find(
      ({ description }) => description === 'state symbol',
    );
    child.send('native', socket[state].handle);
    const { name, port, address } = await nextMessage(child);
    assert.deepEqual([name, port, address], ['UDP', socket.address().port, '127.0.0.1']);
    socket.close();
    await leave(child);
  });

  it('of TCP comes from the child to the parent', async () => {
    const child = forkFunction(() => {
      const server = require('node:net').createServer();
      server.listen(0, '127.0.0.1', () => {
        process.send(server.address().port, server._handle);
        server.close();
      });
    });
    const [port, handle] = await once(child, 'message');
    assert.equal(handle.constructor.name, 'TCP');
    const server = net.createServer((socket) => socket.end('parent')).listen(handle);
    assert.equal(await textOf(net.connect(port, '127.0.0.1')), 'parent');
    await close(server);
    await leave(child).catch(() => {});
  });
});

describe('over unix sockets', () => {
  let folder;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-unix-'));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  itIsBetter('an accepted connection is answered by the child', async () => {
    const child = forkFunction(() => {
      process.on('message', (_, socket) => {
        socket.on('data', (data) => socket.end(`child got ${data}`));
      });
    });
    const server = net.createServer((socket) => child.send('yours', socket));
    server.listen(path.join(folder, 'socket'));
    await once(server, 'listening');
    const client = net.connect(path.join(folder, 'socket'));
    client.write('it');
    assert.equal(await textOf(client), 'child got it');
    await close(server);
    await leave(child);
  });

  itIsBetter('a connection and its server come from the child to the parent', async () => {
    const file = path.join(folder, 'socket');
    const child = forkFunction({ with: [file] }, (file) => {
      const server = require('node:net').createServer((socket) => {
        process.send('socket', socket);
        process.send('server', server);
        server.close();
      });
      server.listen(file, () => process.send('listening'));
    });
    await nextMessage(child);
    const received = new Promise((resolve) => {
      const handles = {};
      child.on('message', (message, handle) => {
        handles[message] = handle;
        if (handles.server) resolve(handles);
      });
    });
    // What the child's close() unlinks has another name here.
    const other = path.join(folder, 'other');
    fs.linkSync(file, other);
    const client = net.connect(other);
    const { socket, server } = await received;
    socket.end('parent');
    assert.equal(await textOf(client), 'parent');
    server.on('connection', (next) => next.end('parent again'));
    assert.equal(await textOf(net.connect(other)), 'parent again');
    await close(server);
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  for (const [where, env] of [
    ['in a child', {}],
    ['in a cluster worker', { NODE_UNIQUE_ID: '7' }],
  ]) {
    itIsBetter(`a server is the one handle on its descriptor ${where}`, async () => {
      const child = forkFunction({ env: { ...process.env, ...env } }, () => {
        const pipes = () =>
          process.getActiveResourcesInfo().filter((name) => name === 'PipeWrap').length;
        let before;
        process.on('message', (message, server) => {
          if (message === 'look') {
            before = pipes();
            process.send('looked');
            return;
          }
          process.send({ added: pipes() - before });
          server.on('connection', (socket) => {
            socket.end('child');
            server.close();
          });
        });
      });
      const file = path.join(folder, 'socket');
      child.send('look');
      assert.equal(await nextMessage(child), 'looked');
      const server = net.createServer().listen(file);
      await once(server, 'listening');
      child.send('server', server);
      assert.deepEqual(await nextMessage(child), { added: 1 });
      // What close() unlinks has another name.
      const other = path.join(folder, 'other');
      fs.linkSync(file, other);
      await close(server);
      assert.equal(await textOf(net.connect(other)), 'child');
      await leave(child);
    });
  }

  it('a native Pipe arrives as such a handle', async () => {
    const child = forkFunction(() => {
      process.on('message', (_, handle) => {
        const { name } = handle.constructor;
        const net = require('node:net');
        const server = net.createServer((socket) => {
          socket.end(name);
          server.close();
        });
        server.listen(handle, () => process.send('listening'));
      });
    });
    const file = path.join(folder, 'socket');
    const server = net.createServer().listen(file);
    await once(server, 'listening');
    child.send('native', server._handle);
    await nextMessage(child);
    // Both accept; ours does not answer.
    server.on('connection', (socket) => socket.destroy());
    await until(async () => (await textOf(net.connect(file)).catch(() => '')) === 'Pipe');
    await close(server);
    await leave(child);
  });
});

describe('a net.BoundSocket', () => {
  const itHasIt = net.BoundSocket === undefined ? it.skip : it; // Node 26 and later

  itHasIt('is moved to the child, which listens on its port', async () => {
    const child = forkFunction(() => {
      const { createServer } = require('node:net');
      process.on('message', (_message, bound) => {
        const server = createServer((socket) => socket.end('from the child'));
        server.listen(bound, () => process.send(server.address().port));
      });
    });
    const bound = new net.BoundSocket({ host: '127.0.0.1' });
    const { port } = bound.address();
    child.send('listen', bound);
    assert.equal(await nextMessage(child), port);
    assert.equal(await textOf(net.connect(port, '127.0.0.1')), 'from the child');
    child.kill();
    await exited(child);
  });

  (isStock ? it.skip : itHasIt)('comes back when nobody takes it', async () => {
    const child = forkFunction(() => process.once('disconnect', () => {}));
    const bound = new net.BoundSocket({ host: '127.0.0.1' });
    const { port } = bound.address();
    child.send('x', bound);
    child.kill('SIGKILL');
    const [message, returned] = await once(child, 'undelivered');
    assert.equal(message, 'x');
    assert.equal(returned.address().port, port);
    returned.close();
    await exited(child);
  });
});
