'use strict';

// What forkwire sends on stock Node's wire, seen from a program that acknowledges when it is told to.

const assert = require('node:assert/strict');
const { fork: stockFork } = require('node:child_process');
const dgram = require('node:dgram');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const v8 = require('node:v8');
const { fork } = require('../..');
const { forkNodePeer } = require('../fixtures/node-peer');
const {
  bytesOf,
  close,
  connectedPair,
  connectionsOf,
  listen,
  textOf,
} = require('../fixtures/socket-clients');
const { exited, record } = require('../helpers/events');
const { untilDead } = require('../helpers/stopped');
const { until } = require('../helpers/until');

const MIB = 1 << 20;
const PAUSE = 50; // ms in which something that must not happen would

/** Counts the calls of a callback and keeps its latest argument. */
function callback() {
  const called = (error) => {
    called.count++;
    called.error = error;
  };
  called.count = 0;
  return called;
}

/** That nothing came to the peer since the last event of it that was waited for. */
async function seesNothing(peer, action = () => wait(PAUSE)) {
  const before = peer.seen.length;
  await action();
  await peer.ask('mark', 'marked');
  assert.deepEqual(
    peer.seen.slice(before).map(({ event }) => event),
    ['marked'],
  );
}

/** An acknowledgement as stock writes it. */
function ackOf(serialization) {
  const ack = { cmd: 'NODE_HANDLE_ACK' };
  if (serialization === 'json') return Buffer.from(`${JSON.stringify(ack)}\n`);
  const payload = v8.serialize(ack);
  return Buffer.concat([Buffer.from(Uint32Array.of(payload.length).buffer).swap32(), payload]);
}

async function leave({ child, peer }) {
  await peer.leave();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

describe("sending on stock Node's wire", () => {
  let server;

  beforeEach(async () => {
    server = await listen();
  });

  afterEach(() => close(server));

  it('wraps a handle as stock does', async () => {
    const both = forkNodePeer();
    const [socket, client] = await connectedPair(server);
    both.child.send({ a: 'é', b: ['"msg":0'] }, socket);
    const { message, fds } = await both.peer.sees('NODE_HANDLE');
    const { key, ...others } = message;
    assert.match(key, /^[0-9a-f]{16}$/);
    assert.deepEqual(others, {
      cmd: 'NODE_HANDLE',
      type: 'net.Socket',
      msg: { a: 'é', b: ['"msg":0'] },
    });
    assert.equal(fds, 1);
    both.peer.tell('ack');
    both.peer.tell('answer', { text: 'got it' });
    assert.equal(await textOf(client), 'got it');
    await leave(both);
  });

  for (const serialization of ['json', 'advanced']) {
    it(`writes the same bytes as stock, ${serialization}`, async () => {
      const messages = [
        ...['', 'text', 'é 漢 😀 \u2028 \ud800', 0, -1.5, 1e300, true, null],
        ...[[], {}, { a: [{ b: null }], ключ: 'значение', toJSON: undefined }],
        { cmd: 'NODE_OTHER', a: 1 },
      ];
      if (serialization === 'advanced') {
        const buffer = Buffer.from('a Buffer');
        messages.push(new Map([[1n, new Set(['a'])]]), { buffer }, new Float64Array([1.5, -0]));
        messages.push(new Date(0), /a/g, { a: undefined }, new Uint8Array(8).buffer);
      }
      const socket = dgram.createSocket('udp6').bind(0, '::1');
      await once(socket, 'listening');
      const written = [];
      for (const start of [fork, stockFork]) {
        const both = forkNodePeer({ serialization, start });
        for (const message of messages) both.child.send(message);
        both.child.send({ msg: 0 }, server);
        const isComplete = () => both.peer.seen.length === messages.length + 1;
        await until(isComplete, 'a server');
        both.peer.tell('bytes', { hex: ackOf(serialization).toString('hex') });
        both.child.send('datagrams', socket);
        await until(() => both.peer.seen.length === messages.length + 2);
        both.peer.tell('bytes', { hex: ackOf(serialization).toString('hex') });
        written.push(both.peer.seen.map(({ hex, fds }) => [hex, fds]));
        await leave(both);
      }
      assert.deepEqual(written[0], written[1]);
      socket.close();
    });
  }

  it('sends a handle again that did not arrive, until it does, and calls back once', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const [socket, client] = await connectedPair(server);
    const called = callback();
    child.send('it', socket, called);
    child.send('behind');
    const first = await peer.sees('NODE_HANDLE');
    for (let i = 0; i < 2; i++) {
      peer.tell('drop');
      peer.tell('nack');
      assert.deepEqual(await peer.sees('NODE_HANDLE'), first);
    }
    await seesNothing(peer);
    peer.tell('ack');
    peer.tell('answer', { text: 'third time' });
    assert.equal((await peer.sees('message')).message, 'behind');
    assert.equal(await textOf(client), 'third time');
    assert.equal(called.count, 1);
    assert.equal(called.error, null);
    await leave(both);
  });

  it('warns at the third time, as stock, and goes on', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const [socket, client] = await connectedPair(server);
    const warned = once(process, 'warning');
    child.send('it', socket);
    for (let i = 0; i < 3; i++) {
      await peer.sees('NODE_HANDLE');
      peer.tell('drop');
      peer.tell('nack');
    }
    const [warning] = await warned;
    assert.equal(warning.name, 'SentHandleNotReceivedWarning');
    await peer.sees('NODE_HANDLE');
    peer.tell('ack');
    peer.tell('answer', { text: 'late' });
    assert.equal(await textOf(client), 'late');
    await leave(both);
  });

  const shared = {
    'a net.Server': (sent) => [sent],
    'a native handle': (sent) => [sent._handle],
    'a socket that is kept open': async (sent) => {
      const [socket, client] = await connectedPair(sent);
      return [socket, { keepOpen: true }, () => [socket, client].map((each) => each.destroy())];
    },
    'a dgram.Socket': async () => {
      const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
      await once(socket, 'listening');
      return [socket, {}, () => socket.close()];
    },
  };
  for (const [kind, make] of Object.entries(shared)) {
    it(`sends ${kind} again as well, which stock loses`, async () => {
      const both = forkNodePeer();
      const [handle, options = {}, dispose = () => {}] = await make(server);
      both.child.send('it', handle, options);
      const first = await both.peer.sees('NODE_HANDLE');
      both.peer.tell('nack');
      assert.deepEqual(await both.peer.sees('NODE_HANDLE'), first);
      both.peer.tell('ack');
      dispose();
      await leave(both);
    });
  }

  it('lets everything behind a handle wait for its acknowledgement', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const pairs = [await connectedPair(server), await connectedPair(server)];
    const called = callback();
    child.send('first', pairs[0][0]);
    child.send('plain', called);
    child.send('second', pairs[1][0]);
    child.send('last');
    await peer.sees('NODE_HANDLE');
    await seesNothing(peer);
    assert.equal(called.count, 0);
    peer.tell('ack');
    assert.equal((await peer.sees('message')).message, 'plain');
    assert.equal((await peer.sees('NODE_HANDLE')).message.msg, 'second');
    await until(() => called.count === 1);
    await seesNothing(peer);
    peer.tell('ack');
    assert.equal((await peer.sees('message')).message, 'last');
    for (const [, client] of pairs) client.destroy();
    await leave(both);
  });

  it('acknowledges while its own handle waits for that', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const [socket, client] = await connectedPair(server);
    child.on('message', (_message, handle) => handle.destroy());
    child.send('ours', socket);
    await peer.sees('NODE_HANDLE');
    await peer.ask('file', 'made', { thing: 'file' });
    const theirs = await connectedPair(server);
    theirs[0].destroy();
    peer.tell('handle', { value: 'theirs' });
    await peer.sees('NODE_HANDLE_NACK');
    peer.tell('ack');
    client.destroy();
    await leave(both);
  });

  it('ignores acknowledgements that nothing waits for', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    for (const command of ['ack', 'nack', 'ack', 'nack', 'nack', 'nack']) peer.tell(command);
    const answer = once(child, 'message');
    peer.tell('message', { value: 'still here' });
    assert.equal((await answer)[0], 'still here');
    const [socket, client] = await connectedPair(server);
    child.send('it', socket);
    child.send('behind');
    await peer.sees('NODE_HANDLE');
    await seesNothing(peer);
    peer.tell('ack');
    peer.tell('ack'); // stock fails an assertion
    assert.equal((await peer.sees('message')).message, 'behind');
    client.destroy();
    await leave(both);
  });

  it('gives back what was refused and what waited when the peer dies', async () => {
    const { child, peer } = forkNodePeer();
    const pairs = [await connectedPair(server), await connectedPair(server)];
    const events = record(child, ['disconnect', 'exit']);
    const back = [];
    child.on('undelivered', (message, socket) => {
      assert.deepEqual(events, []);
      back.push(message);
      socket.end(`back: ${message}`);
    });
    child.send('refused', pairs[0][0]);
    child.send('plain', () => {});
    child.send('queued', pairs[1][0], () => {});
    await peer.sees('NODE_HANDLE');
    peer.tell('drop');
    peer.tell('nack');
    peer.tell('die');
    untilDead(child); // what it said, its end and its exit are noticed at once
    const texts = pairs.map(([, client]) => textOf(client));
    assert.deepEqual(await Promise.all(texts), ['back: refused', 'back: queued']);
    await exited(child);
    assert.deepEqual(back, ['refused', 'queued']);
    assert.deepEqual(events, ['disconnect', 'exit']);
    await peer.closed;
  });

  describe('a socket with unsent writes', () => {
    const SIZE = 8 * MIB; // more than the kernel takes from a client that does not read

    it('leaves when they are through', async () => {
      const both = forkNodePeer();
      const { child, peer } = both;
      const [socket, client] = await connectedPair(server);
      socket.write(Buffer.alloc(SIZE, 'a'));
      child.send('it', socket);
      child.send('behind');
      await seesNothing(peer);
      const received = bytesOf(client);
      await peer.sees('NODE_HANDLE');
      peer.tell('ack');
      peer.tell('answer', { text: 'tail' });
      assert.equal((await peer.sees('message')).message, 'behind');
      const bytes = await received;
      assert.equal(bytes.length, SIZE + 4);
      assert.equal(bytes.subarray(SIZE).toString(), 'tail');
      await leave(both);
    });

    it('comes back when its client takes none of them for five seconds', async () => {
      const both = forkNodePeer();
      const { child, peer } = both;
      const [socket, client] = await connectedPair(server);
      socket.write(Buffer.alloc(SIZE, 'a'));
      const startedAt = performance.now();
      const undelivered = once(child, 'undelivered');
      child.send('it', socket);
      child.send('behind');
      const [message, returned] = await undelivered;
      const took = performance.now() - startedAt;
      assert.ok(took > 4000 && took < 30_000, `${took} ms`);
      assert.equal(message, 'it');
      assert.equal((await peer.sees('message')).message, 'behind');
      assert.equal(await connectionsOf(server), 1);
      const received = bytesOf(client);
      returned.end('tail');
      assert.equal((await received).length, SIZE + 4);
      await leave(both);
    });
  });

  it('disconnects when the handle in flight was acknowledged', async () => {
    const { child, peer } = forkNodePeer();
    const [socket, client] = await connectedPair(server);
    const events = record(child, ['disconnect', 'undelivered']);
    child.send('it', socket);
    child.send('behind');
    child.disconnect();
    assert.equal(child.connected, false);
    await peer.sees('NODE_HANDLE');
    await seesNothing(peer);
    assert.deepEqual(events, []);
    peer.tell('ack');
    assert.equal((await peer.sees('message')).message, 'behind');
    await peer.sees('eof');
    peer.tell('answer', { text: 'taken' });
    assert.equal(await textOf(client), 'taken');
    assert.deepEqual(events, ['disconnect']);
    await peer.leave();
    await exited(child);
  });

  it('asks how many sockets there are, and answers after a second without an answer', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const pairs = [await connectedPair(server), await connectedPair(server)];
    for (const [socket] of pairs) {
      child.send('it', socket);
      await peer.sees('NODE_HANDLE');
      peer.tell('ack');
    }
    const first = connectionsOf(server);
    const { message } = await peer.sees('NODE_SOCKET_GET_COUNT');
    peer.tell('message', { value: { cmd: 'NODE_SOCKET_COUNT', key: message.key, count: 1 } });
    assert.equal(await first, 1);
    const startedAt = performance.now();
    assert.equal(await connectionsOf(server), 1); // what is known
    assert.ok(performance.now() - startedAt > 900);
    for (const count of [-1, 1.5, '0', null, 1e300]) {
      peer.tell('message', { value: { cmd: 'NODE_SOCKET_COUNT', key: message.key, count } });
    }
    const closed = close(server);
    await peer.sees('NODE_SOCKET_NOTIFY_CLOSE');
    peer.tell('message', { value: { cmd: 'NODE_SOCKET_ALL_CLOSED', key: message.key } });
    await closed;
    server = await listen();
    for (const [, client] of pairs) client.destroy();
    await leave(both);
  });

  it('has close() of a server not wait for a peer that is gone', async () => {
    const { child, peer } = forkNodePeer();
    const [socket, client] = await connectedPair(server);
    child.send('it', socket);
    await peer.sees('NODE_HANDLE');
    peer.tell('ack');
    const closed = close(server);
    await peer.sees('NODE_SOCKET_NOTIFY_CLOSE');
    child.kill('SIGKILL');
    await closed;
    await exited(child);
    await peer.closed;
    client.destroy();
    server = await listen();
  });
});
