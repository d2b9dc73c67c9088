'use strict';

// server.getConnections() and server.close() of a server whose connections live in other processes.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const {
  close,
  connect,
  connectedPair,
  connectionsOf,
  listen,
  textOf,
} = require('../fixtures/socket-clients');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { resume, stop } = require('../helpers/stopped');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const forkHolder = (...args) => forkFixture('socket-holder.js', args);

/** `count` connections of the server that the child holds. Gives their clients. */
async function give(server, child, count) {
  const clients = [];
  for (let i = 0; i < count; i++) {
    const [socket, client] = await connectedPair(server);
    clients.push(client.resume());
    const got = nextMessage(child);
    child.send('socket', socket);
    await got;
  }
  return clients;
}

/** Has the child close some, and resolves when it said that it did. */
async function closeIn(child, count, how = 'close') {
  const said = nextMessage(child);
  child.send({ [how]: count });
  assert.deepEqual(await said, { closed: count });
}

async function leave(...children) {
  for (const child of children) {
    child.disconnect();
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  }
}

/** The order in which a server says that it is closed, by its event and its callback. */
function recordClose(server) {
  const events = [];
  server.on('close', () => events.push('close'));
  server.close((error) => events.push(error ?? 'callback'));
  return events;
}

describe('getConnections()', () => {
  it('adds what 1, 2 and 3 children hold to what the server has itself', async () => {
    const children = [forkHolder(), forkHolder(), forkHolder()];
    const server = await listen();
    const [local, client] = await connectedPair(server);
    assert.equal(await connectionsOf(server), 1);
    await give(server, children[0], 2);
    assert.equal(await connectionsOf(server), 3);
    await give(server, children[1], 3);
    assert.equal(await connectionsOf(server), 6);
    await give(server, children[2], 1);
    assert.equal(await connectionsOf(server), 7);
    await closeIn(children[1], 2);
    assert.equal(await connectionsOf(server), 5);
    await closeIn(children[0], 2);
    assert.equal(await connectionsOf(server), 3);
    local.destroy();
    client.resume();
    await once(local, 'close');
    assert.equal(await connectionsOf(server), 2);
    await closeIn(children[1], 1);
    await closeIn(children[2], 1);
    assert.equal(await connectionsOf(server), 0);
    await close(server);
    await leave(...children);
  });

  itIsBetter('counts those on their way, and answers though the child is stopped', async () => {
    const child = forkHolder();
    await once(child, 'spawn');
    const server = await listen();
    const sockets = [];
    const clients = [];
    for (let i = 0; i < 5; i++) {
      const [socket, client] = await connectedPair(server);
      sockets.push(socket);
      clients.push(client.resume());
    }
    stop(child);
    for (const [i, socket] of sockets.entries()) {
      child.send('socket', socket);
      assert.equal(await connectionsOf(server), 5, `after ${i + 1}`);
    }
    const arrived = messagesOf(child, 5);
    resume(child);
    await arrived;
    assert.equal(await connectionsOf(server), 5);
    await closeIn(child, 5);
    assert.equal(await connectionsOf(server), 0);
    await close(server);
    await leave(child);
  });

  itIsBetter('is right in the listener that is told of a closing', async () => {
    // The child says 'closed' in the 'close' event of the socket: never ahead of the count.
    const child = forkHolder();
    const server = await listen();
    for (let round = 0; round < 20; round++) {
      await give(server, child, 3);
      child.send({ close: 3 });
      const count = await new Promise((resolve, reject) => {
        child.once('message', () => {
          server.getConnections((error, connections) =>
            error ? reject(error) : resolve(connections),
          );
        });
      });
      assert.equal(count, 0);
    }
    await close(server);
    await leave(child);
  });

  itIsBetter('adds no listeners, however often it is called at once', async () => {
    const child = forkHolder();
    const server = await listen();
    await give(server, child, 2);
    const warnings = [];
    const warn = (warning) => warnings.push(warning);
    process.on('warning', warn);
    const listeners = () =>
      [...child.eventNames(), ...server.eventNames()].map((name) => [
        name,
        child.listenerCount(name),
        server.listenerCount(name),
      ]);
    const before = listeners();
    const all = Array.from({ length: 1000 }, () => connectionsOf(server));
    assert.deepEqual(listeners(), before);
    assert.deepEqual(new Set(await Promise.all(all)), new Set([2]));
    assert.deepEqual(listeners(), before);
    await new Promise(setImmediate);
    process.removeListener('warning', warn);
    assert.deepEqual(warnings, []);
    await closeIn(child, 2);
    await close(server);
    await leave(child);
  });

  itIsBetter('counts nothing of a child that was killed, disconnected or exited', async () => {
    const server = await listen();
    const ends = [
      (child) => child.kill('SIGKILL'),
      (child) => child.send({ exit: true }),
      (child) => child.send({ disconnect: true }),
      (child) => child.disconnect(),
    ];
    const stays = forkHolder();
    await give(server, stays, 1);
    for (const end of ends) {
      const child = forkHolder();
      await give(server, child, 3);
      assert.equal(await connectionsOf(server), 4);
      const disconnected = once(child, 'disconnect');
      end(child);
      await disconnected;
      assert.equal(await connectionsOf(server), 1);
      await exited(child);
    }
    await closeIn(stays, 1);
    assert.equal(await connectionsOf(server), 0);
    await close(server);
    await leave(stays);
  });

  itIsBetter('goes on being right when all children are gone and others come', async () => {
    const server = await listen();
    for (let round = 0; round < 3; round++) {
      const child = forkHolder();
      await give(server, child, 2);
      child.kill('SIGKILL');
      await exited(child);
      const [local, client] = await connectedPair(server);
      assert.equal(await connectionsOf(server), 1);
      local.destroy();
      client.resume();
      await once(local, 'close');
      assert.equal(await connectionsOf(server), 0);
    }
    await close(server);
  });

  itIsBetter('keeps servers apart that listen on port 0', async () => {
    const child = forkHolder();
    const servers = [await listen(), await listen(), await listen()];
    for (const [i, server] of servers.entries()) await give(server, child, i + 1);
    assert.deepEqual(await Promise.all(servers.map(connectionsOf)), [1, 2, 3]);
    await closeIn(child, 2); // the one of the first, one of the second
    assert.deepEqual(await Promise.all(servers.map(connectionsOf)), [0, 1, 3]);
    await close(servers[0]);
    await closeIn(child, 4);
    assert.deepEqual(await Promise.all(servers.slice(1).map(connectionsOf)), [0, 0]);
    await Promise.all(servers.slice(1).map(close));
    await leave(child);
  });

  it('counts the connections of an http server', async () => {
    const child = forkHolder();
    const server = http.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const clients = await give(server, child, 2);
    assert.equal(await connectionsOf(server), 2);
    await closeIn(child, 2);
    await until(async () => (await connectionsOf(server)) === 0);
    assert.equal(clients.length, 2);
    await close(server);
    await leave(child);
  });

  itIsBetter('counts a kept-open socket once, until nobody holds it any more', async () => {
    const children = [forkHolder(), forkHolder()];
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    client.resume();
    for (const child of children) {
      const got = nextMessage(child);
      child.send('socket', socket, { keepOpen: true });
      await got;
      assert.equal(await connectionsOf(server), 1);
    }
    socket.destroy();
    await once(socket, 'close');
    assert.equal(await connectionsOf(server), 1);
    await closeIn(children[0], 1, 'destroy');
    assert.equal(await connectionsOf(server), 1);
    await closeIn(children[1], 1, 'destroy');
    assert.equal(await connectionsOf(server), 0);
    await close(server);
    await leave(...children);
  });
});

describe('close()', () => {
  itIsBetter('waits for the connections of its children, then says so once', async () => {
    const children = [forkHolder(), forkHolder()];
    const server = await listen();
    await give(server, children[0], 2);
    await give(server, children[1], 1);
    const events = recordClose(server);
    await closeIn(children[0], 2);
    assert.deepEqual(events, []);
    assert.equal(await connectionsOf(server), 1);
    await closeIn(children[1], 1);
    await until(() => events.length > 0);
    await leave(...children);
    assert.deepEqual(events.toSorted(), ['callback', 'close']);
  });

  itIsBetter('waits for connections of the server itself, whichever are last', async () => {
    for (const isChildLast of [true, false]) {
      const child = forkHolder();
      const server = await listen();
      await give(server, child, 1);
      const [local, client] = await connectedPair(server);
      client.resume();
      const events = recordClose(server);
      const endLocal = async () => {
        local.destroy();
        await once(local, 'close');
      };
      const endChild = () => closeIn(child, 1);
      const [first, second] = isChildLast ? [endLocal, endChild] : [endChild, endLocal];
      await first();
      await new Promise(setImmediate);
      assert.deepEqual(events, []);
      await second();
      await until(() => events.length > 0);
      await leave(child);
      assert.deepEqual(events.toSorted(), ['callback', 'close']);
    }
  });

  itIsBetter('comes when the child that held the last one dies or exits', async () => {
    for (const end of [
      (child) => child.kill('SIGKILL'),
      (child) => child.send({ exit: true }),
      (child) => child.disconnect(),
    ]) {
      const child = forkHolder();
      const server = await listen();
      await give(server, child, 2);
      const events = recordClose(server);
      end(child);
      await exited(child);
      await until(() => events.length > 0);
      await new Promise(setImmediate);
      assert.deepEqual(events.toSorted(), ['callback', 'close']);
    }
  });

  itIsBetter('waits for a connection that leaves the server after it was closed', async () => {
    const child = forkHolder();
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    client.resume();
    const events = recordClose(server);
    const held = nextMessage(child);
    child.send('socket', socket);
    await held;
    assert.equal(await connectionsOf(server), 1);
    assert.deepEqual(events, []);
    await closeIn(child, 1);
    await until(() => events.length > 0);
    await leave(child);
    assert.deepEqual(events.toSorted(), ['callback', 'close']);
  });

  itIsBetter('comes when a connection on its way to a killed child is closed', async () => {
    const child = forkHolder();
    await once(child, 'spawn');
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    client.resume();
    stop(child);
    child.send('socket', socket);
    const events = recordClose(server);
    child.kill('SIGKILL');
    await exited(child);
    await until(() => events.length > 0);
    assert.deepEqual(events.toSorted(), ['callback', 'close']);
  });

  it('comes for a server whose children hold nothing', async () => {
    const child = forkHolder();
    const server = await listen();
    await give(server, child, 1);
    await closeIn(child, 1);
    const events = recordClose(server);
    await until(() => events.length === 2);
    await leave(child);
    assert.deepEqual(events.toSorted(), ['callback', 'close']);
  });

  itIsBetter('comes for each of several servers when its own connections are closed', async () => {
    const child = forkHolder();
    const servers = [await listen(), await listen()];
    for (const server of servers) await give(server, child, 1);
    const events = servers.map(recordClose);
    await closeIn(child, 1);
    await until(() => events[0].length === 2);
    assert.deepEqual(events[1], []);
    await closeIn(child, 1);
    await until(() => events[1].length === 2);
    await leave(child);
  });

  itIsBetter(
    'comes once with 50 connections that end at the same time here and there',
    async () => {
      const children = [forkHolder(), forkHolder(), forkHolder()];
      const server = await listen();
      const locals = [];
      for (let i = 0; i < 20; i++) {
        const [socket, client] = await connectedPair(server);
        client.resume();
        locals.push(socket);
      }
      for (const child of children) await give(server, child, 10);
      assert.equal(await connectionsOf(server), 50);
      const events = recordClose(server);
      for (const socket of locals) socket.destroy();
      await Promise.all(children.map((child) => closeIn(child, 10)));
      await until(() => events.length > 0);
      await leave(...children);
      assert.deepEqual(events.toSorted(), ['callback', 'close']);
      assert.equal(await connectionsOf(server), 0);
    },
  );
});

describe('a connection whose old socket is destroyed after it was sent', () => {
  itIsBetter('is counted once', async () => {
    const child = forkHolder();
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    client.resume();
    const held = nextMessage(child);
    child.send('socket', socket);
    socket.destroy();
    await held;
    assert.equal(await connectionsOf(server), 1);
    child.send({ close: 1 });
    await until(async () => (await connectionsOf(server)) === 0);
    client.destroy();
    await close(server);
    await leave(child);
  });
});

describe('a connection that a child gives back', () => {
  itIsBetter('is counted once at every moment', async () => {
    const child = forkHolder();
    const server = await listen();
    const counts = new Set();
    let isOver = false;
    const watch = () => {
      server.getConnections((_, count) => counts.add(count));
      if (!isOver) setImmediate(watch);
    };
    const [socket, client] = await connectedPair(server);
    watch();
    let current = socket;
    for (let round = 0; round < 30; round++) {
      const held = nextMessage(child);
      child.send('socket', current);
      watch();
      await held;
      const back = once(child, 'message');
      child.send({ pass: 1 });
      const [message, received] = await back;
      assert.equal(message, 'socket');
      current = received;
      watch();
    }
    isOver = true;
    assert.deepEqual([...counts], [1]);
    current.end('after 30 rounds');
    assert.equal(await textOf(client), 'after 30 rounds');
    await until(async () => (await connectionsOf(server)) === 0);
    await close(server);
    await leave(child);
  });

  itIsBetter('keeps close() waiting, and is what it waits for', async () => {
    const child = forkHolder();
    const server = await listen();
    await give(server, child, 1);
    const events = recordClose(server);
    const back = once(child, 'message');
    child.send({ pass: 1 });
    const [, socket] = await back;
    await leave(child);
    assert.deepEqual(events, []);
    assert.equal(await connectionsOf(server), 1);
    socket.destroy();
    await once(socket, 'close');
    await until(() => events.length > 0);
    assert.deepEqual(events.toSorted(), ['callback', 'close']);
  });

  itIsBetter('can be given to another child, and is counted there', async () => {
    const [child, other] = [forkHolder(), forkHolder()];
    const server = await listen();
    await give(server, child, 2);
    const back = once(child, 'message');
    child.send({ pass: 1 });
    const [, socket] = await back;
    const held = nextMessage(other);
    other.send('socket', socket);
    await held;
    assert.equal(await connectionsOf(server), 2);
    await closeIn(other, 1);
    assert.equal(await connectionsOf(server), 1);
    await closeIn(child, 1);
    assert.equal(await connectionsOf(server), 0);
    await close(server);
    await leave(child, other);
  });
});

describe('a connection that a child hands on to its own child', () => {
  /** The next thing that the grandchild said. */
  async function nextOfRelay(child) {
    const message = await nextMessage(child);
    return message.relay ?? nextOfRelay(child);
  }

  itIsBetter('is counted until it is closed there', async () => {
    const child = forkHolder('relay');
    const server = await listen();
    const clients = await give(server, child, 3);
    const arrived = nextOfRelay(child);
    child.send({ pass: 1 });
    assert.deepEqual(await arrived, { held: 1 });
    assert.equal(await connectionsOf(server), 3);
    await closeIn(child, 2);
    assert.equal(await connectionsOf(server), 1);
    const events = recordClose(server);
    const closed = nextOfRelay(child);
    child.send({ relay: { close: 1 } });
    assert.deepEqual(await closed, { closed: 1 });
    assert.equal(await connectionsOf(server), 0);
    await until(() => events.length === 2);
    assert.equal(clients.length, 3);
    await leave(child);
  });

  itIsBetter('is not counted any more when that branch is gone', async () => {
    const child = forkHolder('relay');
    const server = await listen();
    await give(server, child, 2);
    const arrived = nextOfRelay(child);
    child.send({ pass: 1 });
    await arrived;
    assert.equal(await connectionsOf(server), 2);
    child.kill('SIGKILL');
    await exited(child);
    assert.equal(await connectionsOf(server), 0);
    await close(server);
  });
});

describe('many servers and children', () => {
  itIsBetter('leave nothing in the server when the children are gone', async () => {
    const server = await listen();
    for (let i = 0; i < 5; i++) {
      const child = forkFunction(() => {
        process.on('message', (_, socket) => {
          socket.end('x');
          process.disconnect();
        });
      });
      const [socket, client] = await connectedPair(server);
      child.send('x', socket);
      assert.equal(await textOf(client), 'x');
      await exited(child);
      await until(() => server._workers.length === 0);
    }
    assert.equal(await connectionsOf(server), 0);
    const other = await connect(server);
    other.destroy();
    await close(server);
  });
});
