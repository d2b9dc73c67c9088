'use strict';

// What stock Node gets wrong with handles and connections, row by row of the list in docs/guarantees.md. Each of these tests
// fails on stock: `npm run test:faults -- --stock` shows it.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const {
  bytesOf,
  close,
  connectedPair,
  connectionsOf,
  listen,
  textOf,
} = require('../fixtures/socket-clients');
const { descriptorsOf } = require('../helpers/descriptors');
const { messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { setDescriptorLimit } = require('../helpers/limits');
const { resume, stop } = require('../helpers/stopped');
const { Tally } = require('../helpers/tally');
const { until } = require('../helpers/until');
const { itWithout, onEachWire } = require('../helpers/wires');

/** Keeps what it gets, and says so. */
function hold() {
  const held = [];
  process.on('message', (message, handle) => {
    if (handle) held.push(handle.on('error', () => {}));
    if (message === 'close') for (const one of held.splice(0)) (one.destroy ?? one.close).call(one);
    process.send(message);
  });
  process.send('up');
}

/** Writes all that a socket gives it to the parent, as text. */
function report() {
  process.on('message', (_message, socket) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    socket.on('end', () => process.send(text));
  });
  process.send('up');
}

/** No 'message' listener, but alive. */
function deaf() {
  setInterval(() => {}, 1000);
  process.send('up');
}

async function start(channel, body, options = {}) {
  const child = forkFunction({ channel, ...options }, body);
  await nextMessage(child);
  return child;
}

async function kill(child) {
  const isClosed = once(child, 'close');
  child.kill('SIGKILL');
  await isClosed;
}

async function pairs(server, count) {
  const all = [];
  for (let i = 0; i < count; i++) all.push(await connectedPair(server));
  return all;
}

onEachWire('stock faults, handles and connections:', (channel) => {
  it('a child is killed with sockets queued', async () => {
    const child = await start(channel, deaf);
    const server = await listen({});
    const tally = new Tally(child, (message, socket) => socket.end(`${message} is back`));
    const all = await pairs(server, 20);
    stop(child);
    for (const [i, [socket]] of all.entries()) tally.send(`socket ${i}`, socket);
    child.kill('SIGKILL');
    const texts = Promise.all(all.map(([, client]) => textOf(client)));
    await tally.settled();
    await tally.ended();
    tally.checkEnd();
    assert.equal(tally.returned, 20);
    assert.deepEqual(
      await texts,
      all.map((_, i) => `socket ${i} is back`),
    );
    await close(server);
  });

  it('a child that held sockets exits: getConnections() and close()', async () => {
    const child = await start(channel, hold);
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    client.resume();
    const taken = nextMessage(child);
    child.send('socket', socket);
    await taken;
    assert.equal(await connectionsOf(server), 1);
    const isClosed = once(child, 'close');
    child.kill();
    await isClosed;
    let counted;
    let closed = 0;
    server.getConnections((_error, count) => {
      counted = count;
    });
    server.close(() => closed++);
    await until(() => counted === 0 && closed === 1, 'both call back');
  });

  it('getConnections() with a stopped child, eleven times at once, also when it dies', async () => {
    const warnings = [];
    const onWarning = ({ name }) => warnings.push(name);
    process.on('warning', onWarning);
    const child = await start(channel, hold);
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    const taken = nextMessage(child);
    child.send('socket', socket);
    await taken;
    stop(child);
    const counts = [];
    for (let i = 0; i < 11; i++) server.getConnections((...answer) => counts.push(answer));
    await until(() => counts.length === 11, 'eleven answers');
    assert.deepEqual(counts, Array(11).fill([null, 1]));
    await kill(child);
    process.removeListener('warning', onWarning);
    assert.deepEqual(warnings, []);
    client.destroy();
    await close(server);
  });

  it('two servers on port 0 share a key', async () => {
    const child = await start(channel, hold);
    // As users write it: on every address, port 0.
    const servers = [net.createServer().listen(0), net.createServer().listen(0)];
    await Promise.all(servers.map((server) => once(server, 'listening')));
    const clients = [];
    for (const [i, count] of [2, 1].entries()) {
      for (let n = 0; n < count; n++) {
        const [socket, client] = await connectedPair(servers[i]);
        const taken = nextMessage(child);
        child.send('socket', socket);
        await taken;
        clients.push(client);
      }
    }
    assert.deepEqual(await Promise.all(servers.map(connectionsOf)), [2, 1]);
    for (const client of clients) client.destroy();
    await kill(child);
    await Promise.all(servers.map(close));
  });

  it('keepOpen counts twice', async () => {
    const child = await start(channel, hold);
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    const taken = nextMessage(child);
    child.send('socket', socket, { keepOpen: true });
    await taken;
    assert.equal(await connectionsOf(server), 1);
    await kill(child);
    socket.destroy();
    client.destroy();
    await close(server);
  });

  it('allowHalfOpen is lost', async () => {
    const child = await start(channel, () => {
      process.on('message', (_message, socket) => {
        socket.on('end', () => socket.end('an answer after the end')).resume();
      });
      process.send('up');
    });
    const server = await listen({ allowHalfOpen: true });
    const [socket, client] = await connectedPair(server, { allowHalfOpen: true });
    child.send('socket', socket);
    client.end();
    assert.equal(await textOf(client), 'an answer after the end');
    await kill(child);
    await close(server);
  });

  for (const [what, args] of [
    ['gives sockets back', []],
    ['passes them on', ['relay']],
  ]) {
    const reason = 'a child of stock Node does not count down what it gives away';
    itWithout(reason, channel, `a child ${what}: they count for ever`, async () => {
      const child = forkFixture('socket-holder.js', args, { channel });
      const server = await listen({});
      const [socket, client] = await connectedPair(server);
      client.resume();
      const held = nextMessage(child);
      child.send('socket', socket);
      await held;
      assert.equal(await connectionsOf(server), 1);
      const passed = once(child, 'message');
      child.send({ pass: 1 });
      const [message, returned] = await passed;
      if (returned) returned.destroy();
      else assert.deepEqual(message, { relay: { held: 1 } });
      if (!returned) child.send({ relay: { destroy: 1 } });
      await until(async () => (await connectionsOf(server)) === 0, 'nothing is counted');
      const isClosed = once(child, 'close');
      child.disconnect();
      await isClosed;
      await close(server);
    });
  }

  it('bytes that arrive between send() and the acknowledgement', async () => {
    const child = await start(channel, report);
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    socket.on('data', () => {}); // an ordinary server reads
    stop(child);
    child.send('socket', socket);
    client.write('x'.repeat(500));
    // The sender's loop turns, so that it would read if it still did.
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 2));
    const answer = nextMessage(child);
    client.end('y'.repeat(500));
    resume(child);
    assert.equal(await answer, 'x'.repeat(500) + 'y'.repeat(500));
    await kill(child);
    client.destroy();
    await close(server);
  });

  const noWord = "stock's wire has no word for them";
  itWithout(noWord, channel, 'bytes that the sender had read', async () => {
    const child = await start(channel, report);
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    client.write('HEAD ');
    await once(socket, 'readable');
    child.send('socket', socket);
    client.end('TAIL');
    assert.equal(await nextMessage(child), 'HEAD TAIL');
    await kill(child);
    client.destroy();
    await close(server);
  });

  it('8 MB of pending writes', async () => {
    const child = await start(channel, () => {
      process.on('message', (_message, socket) => socket.end('TAIL'));
      process.send('up');
    });
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    client.pause();
    socket.write(Buffer.alloc(8 << 20, 'x'));
    child.send('socket', socket);
    const bytes = await bytesOf(client);
    assert.equal(bytes.length, (8 << 20) + 4);
    assert.equal(bytes.subarray(8 << 20).toString(), 'TAIL');
    assert.ok(bytes.subarray(0, 8 << 20).equals(Buffer.alloc(8 << 20, 'x')));
    await kill(child);
    await close(server);
  });

  it('a peer resets while its socket is queued', async () => {
    const child = await start(channel, () => {
      process.on('message', (message, socket) => process.send([message, socket !== undefined]));
      process.send('up');
    });
    const server = await listen({});
    const all = await pairs(server, 700); // more than may be on their way: the last ones are queued
    const [reset, client] = all.pop();
    stop(child);
    const fates = [];
    for (const [i, [socket]] of all.entries()) child.send(i, socket);
    child.send('reset', reset, (error) => fates.push(error?.code));
    client.resetAndDestroy();
    await once(client, 'close');
    const messages = messagesOf(child, 700);
    child.send('last');
    resume(child);
    const got = await messages;
    assert.deepEqual(got.at(-1), ['last', false]);
    assert.ok(!got.some(([message]) => message === 'reset'));
    await until(() => fates.length > 0);
    assert.deepEqual(fates, ['ERR_FORKWIRE_HANDLE_CLOSED']);
    await kill(child);
    for (const [, other] of all) other.destroy();
    await close(server);
  });

  it('a message that cannot be serialized: its socket is detached and leaks', async () => {
    const child = await start(channel, hold);
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    const circular = {};
    circular.self = circular;
    const throwing = {
      get value() {
        throw new Error('of the test');
      },
    };
    for (const message of [circular, { big: 1n }, throwing]) {
      assert.throws(() => child.send(message, socket));
      assert.equal(await connectionsOf(server), 1);
    }
    socket.end('still here');
    assert.equal(await textOf(client), 'still here');
    await kill(child);
    await close(server);
  });

  // Towards a stock peer they wait, as its protocol demands.
  (channel === 'node' ? it.skip : it)('messages wait behind an unacknowledged handle', async () => {
    const child = await start(channel, deaf);
    const server = await listen({});
    const [socket, client] = await connectedPair(server);
    stop(child);
    const left = [];
    child.send('socket', socket, () => left.push('socket'));
    child.send('plain', () => left.push('plain'));
    await until(
      () => left.includes('plain'),
      'the message leaves while the child is stopped',
      1000,
    );
    child.on('undelivered', (_message, returned) => returned.destroy());
    await kill(child);
    client.destroy();
    await close(server);
  });

  it('a receiver is out of descriptors', async () => {
    const child = await start(channel, hold);
    setDescriptorLimit(child.pid, descriptorsOf(child.pid).size);
    const server = await listen({});
    const shared = await listen({});
    const [socket, client] = await connectedPair(server);
    const tally = new Tally(child);
    const messages = messagesOf(child, 3);
    tally.send('socket', socket);
    tally.send('server', shared);
    tally.send('plain');
    setDescriptorLimit(child.pid, 1024);
    assert.deepEqual(await messages, ['socket', 'server', 'plain']);
    await tally.settled();
    tally.check();
    assert.equal(tally.failed, 0);
    const closed = nextMessage(child);
    child.send('close');
    await closed;
    await kill(child);
    client.destroy();
    await Promise.all([close(server), close(shared)]);
  });

  const parks = 'it is the child that parks them';
  itWithout(
    parks,
    channel,
    'nobody listens in the child: sockets are parked without limit',
    async () => {
      const child = await start(channel, deaf);
      const before = descriptorsOf(child.pid).size;
      const server = await listen({});
      const all = await pairs(server, 700);
      for (const [i, [socket]] of all.entries()) child.send(i, socket);
      await until(() => descriptorsOf(child.pid).size > before);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const held = descriptorsOf(child.pid).size - before;
      assert.ok(held <= 512, `the child holds ${held}`);
      let returned = 0;
      child.on('undelivered', (_message, socket) => {
        returned++;
        socket.destroy();
      });
      await kill(child);
      assert.equal(returned, 700);
      for (const [, client] of all) client.destroy();
      await close(server);
    },
  );
});
