'use strict';

// Ten sequences of events in which a handle could get lost, doubled or stuck. Case 9, a stock child, belongs to the
// node wire.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const { forkFixture } = require('../helpers/fork-fixture');
const { record } = require('../helpers/events');
const { until } = require('../helpers/until');

const ENDS = ['undelivered', 'disconnect', 'exit', 'close'];

/** A server, and sockets of its clients as they come. */
async function listen() {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  return server;
}

async function connect(server, options) {
  const accepted = once(server, 'connection');
  const client = net.connect({ port: server.address().port, ...options });
  client.on('error', () => {});
  const [socket] = await accepted;
  return { client, socket };
}

/** All that a client got until the end. */
async function textOf(client) {
  const chunks = [];
  client.on('data', (chunk) => chunks.push(chunk)).resume();
  await once(client, 'close');
  return Buffer.concat(chunks);
}

const countOf = (server) =>
  new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });

const closed = (server) => new Promise((resolve) => server.close(resolve));

async function start(role, options) {
  const child = forkFixture('interleavings.js', [role], options);
  await once(child, 'message');
  return child;
}

describe('interleavings', () => {
  describe('1: send(socket), then disconnect()', () => {
    it('a listener takes it, then comes disconnect', async () => {
      const child = await start('answer');
      const server = await listen();
      const { client, socket } = await connect(server);
      const events = record(child, ENDS);
      const isClosed = once(child, 'close');
      child.send('socket', socket);
      child.disconnect();
      assert.equal(String(await textOf(client)), 'answered');
      await isClosed;
      assert.deepEqual(events, ['disconnect', 'exit', 'close']);
      await closed(server);
    });

    for (const how of ['nobody listens', 'the child is killed']) {
      it(`${how}: it comes back before disconnect`, async () => {
        const child = await start('deaf');
        const server = await listen();
        const { client, socket } = await connect(server);
        const events = record(child, ENDS);
        child.on('undelivered', (message, returned) => returned.end(`back: ${message}`));
        child.on('disconnect', () => child.kill('SIGKILL'));
        const isClosed = once(child, 'close');
        if (how !== 'nobody listens') child.kill('SIGKILL');
        child.send('socket', socket, () => {}); // null or EPIPE
        child.disconnect();
        assert.equal(String(await textOf(client)), 'back: socket');
        await isClosed;
        assert.deepEqual(events, ENDS);
        await closed(server);
      });
    }

    it('the child is stopped: disconnect after five seconds, and a late return is closed', async () => {
      const child = await start('deaf');
      const server = await listen();
      const { client, socket } = await connect(server);
      const events = record(child, ENDS);
      child.on('undelivered', () => {});
      child.kill('SIGSTOP');
      const startedAt = performance.now();
      child.send('socket', socket);
      child.disconnect();
      await once(child, 'disconnect');
      const took = performance.now() - startedAt;
      assert.ok(took > 4900 && took < 30_000, `${took} ms`);
      const text = textOf(client);
      const isClosed = once(child, 'close');
      child.kill('SIGKILL');
      assert.equal(String(await text), '');
      await isClosed;
      assert.deepEqual(events, ['disconnect', 'exit', 'close']);
      await closed(server);
    });
  });

  it('2: both ends at their handle credit, each sending to the other', async () => {
    const child = await start('both');
    const server = await listen();
    const { client, socket } = await connect(server);
    const sends = 1500;
    let back = 0;
    child.on('message', (_message, returned) => {
      back++;
      returned.destroy();
    });
    for (let i = 0; i < sends; i++) child.send(i, socket, { keepOpen: true });
    await until(() => back === sends, `${sends} back`);
    socket.destroy();
    client.destroy();
    child.kill('SIGKILL');
    await once(child, 'close');
    await closed(server);
  });

  it('3: a child out of descriptors gets all, in order, as it frees some', async () => {
    const child = await start('keep');
    execFileSync('prlimit', ['--pid', `${child.pid}`, '--nofile=64:']);
    const server = await listen();
    const got = [];
    child.on('message', (message) => got.push(message));
    const clients = [];
    for (let i = 0; i < 100; i++) {
      const { client, socket } = await connect(server);
      clients.push(client);
      child.send(i, socket);
      if (i % 10 === 0) child.send(`plain ${i}`);
    }
    // As many as it has room for, and the messages before the gap.
    await until(() => got.length >= 20);
    const atFirst = got.length;
    assert.ok(atFirst < 110, `${atFirst} of 110`);
    execFileSync('prlimit', ['--pid', `${child.pid}`, '--nofile=1024:']);
    await until(() => got.length === 110, '110 messages');
    const expected = [];
    for (let i = 0; i < 100; i++) expected.push(...(i % 10 === 0 ? [i, `plain ${i}`] : [i]));
    assert.deepEqual(got, expected);
    child.send('close');
    await until(async () => (await countOf(server)) === 0);
    for (const client of clients) client.destroy();
    child.kill('SIGKILL');
    await once(child, 'close');
    await closed(server);
  });

  it('4: a socket that a child handed on counts until that child is dead', async () => {
    const child = await start('relay');
    const server = await listen();
    const { client, socket } = await connect(server);
    child.send('socket', socket);
    await once(child, 'message');
    assert.equal(await countOf(server), 1);
    const isClosed = closed(server);
    child.kill('SIGKILL');
    await once(child, 'close');
    assert.equal(await countOf(server), 0);
    await isClosed;
    await until(() => client.readyState === 'closed' || client.destroyed || client.end());
    client.destroy();
  });

  it('5: two ends that flush at each other while they exit both end in time', async () => {
    const script = `
      const { fork } = require(${JSON.stringify(require.resolve('../..'))});
      const child = fork(${JSON.stringify(require.resolve('../fixtures/interleavings.js'))}, ['flush']);
      child.once('message', () => {
        child.kill('SIGUSR2');
        for (let i = 0; i < 2000; i++) child.send('x'.repeat(10000));
        process.exit(0);
      });`;
    const startedAt = performance.now();
    execFileSync(process.execPath, ['-e', script]);
    const took = performance.now() - startedAt;
    assert.ok(took < 30_000, `${took} ms`); // each may wait for five seconds
  });

  describe('6: a socket with 8 MB of unsent writes, whose new owner ends it at once', () => {
    const bytes = randomBytes(8 << 20);

    for (const then of ['goes on', 'disconnects']) {
      it(`gets all bytes and then the end when the sender ${then}`, async () => {
        const child = await start('tail');
        const server = await listen();
        const { client, socket } = await connect(server);
        client.pause();
        socket.write(bytes);
        assert.ok(socket.writableLength > 0);
        const isClosed = once(child, 'close');
        child.send('socket', socket);
        if (then === 'disconnects') child.disconnect();
        const got = await textOf(client);
        assert.equal(got.length, bytes.length + 4);
        assert.ok(got.subarray(0, bytes.length).equals(bytes));
        assert.equal(String(got.subarray(bytes.length)), 'TAIL');
        if (child.connected) child.disconnect();
        await isClosed;
        await closed(server);
      });
    }

    it('is destroyed with an error when the sender dies', async () => {
      const script = `
        const net = require('net');
        const { fork } = require(${JSON.stringify(require.resolve('../..'))});
        const child = fork(${JSON.stringify(require.resolve('../fixtures/interleavings.js'))}, ['tail']);
        child.once('message', () => {
          const server = net.createServer((socket) => {
            socket.write(Buffer.alloc(8 << 20));
            child.send('socket', socket, () => setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200));
          }).listen(0, () => process.stdout.write(String(server.address().port)));
        });`;
      const { spawn } = require('node:child_process');
      const parent = spawn(process.execPath, ['-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [port] = await once(parent.stdout, 'data');
      const client = net.connect(Number(port)).pause();
      client.on('error', () => {});
      const said = once(parent.stdout, 'data');
      await once(parent, 'exit');
      const got = await textOf(client);
      assert.equal(String((await said)[0]), `ERR_FORKWIRE_WRITES_LOST ${parent.pid}\n`);
      assert.ok(got.length < 8 << 20, `${got.length} bytes`);
      assert.ok(!got.includes('TAIL'));
    });
  });

  it('7: a socket kept open and sent to two children counts once, until the last closes it', async () => {
    const first = await start('keep');
    const second = await start('keep');
    const server = await listen();
    const { client, socket } = await connect(server);
    first.send('socket', socket, { keepOpen: true });
    second.send('socket', socket, { keepOpen: true });
    assert.equal(await countOf(server), 1);
    await Promise.all([once(first, 'message'), once(second, 'message')]);
    socket.destroy();
    await once(socket, 'close');
    assert.equal(await countOf(server), 1);
    first.send('close');
    await once(first, 'message');
    assert.equal(await countOf(server), 1);
    second.send('close');
    await until(async () => (await countOf(server)) === 0);
    client.destroy();
    for (const child of [first, second]) {
      child.disconnect();
      await once(child, 'close');
    }
    await closed(server);
  });

  it('10: a listener that comes late gets 600 handles and 20 MB, in order', async () => {
    const child = await start('late');
    const server = await listen();
    const clients = [];
    const handles = 600;
    const chunk = 'x'.repeat(1 << 20);
    const got = [];
    child.on('message', (message) => got.push(message));
    const texts = [];
    for (let i = 0; i < handles; i++) {
      const { client, socket } = await connect(server);
      clients.push(client);
      texts.push(textOf(client));
      child.send(i, socket);
      if (i % 30 === 0) child.send(chunk);
    }
    child.kill('SIGUSR2');
    for (const text of await Promise.all(texts)) assert.equal(String(text), 'answered');
    await until(() => got.length === handles + 20);
    const numbers = got.filter((message) => message !== chunk.length);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
    );
    assert.equal(numbers.length, handles);
    await until(async () => (await countOf(server)) === 0);
    child.kill('SIGKILL');
    await once(child, 'close');
    await closed(server);
  });
});
