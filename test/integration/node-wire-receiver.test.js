'use strict';

// What forkwire makes of what comes on stock Node's wire, from a program that keeps its rules or does not.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const { setTimeout: wait } = require('node:timers/promises');
const v8 = require('node:v8');
const { connectTo, forkNodePeer, startNodeParent } = require('../fixtures/node-peer');
const { textOf } = require('../fixtures/socket-clients');
const { exited, messagesOf } = require('../helpers/events');
const { functionArgs } = require('../helpers/run');
const { until } = require('../helpers/until');

const KIB = 1024;
const PAUSE = 50; // ms in which something that must not happen would

async function leave({ child, peer }) {
  await peer.leave();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

/** The frame of 'advanced'. */
function advanced(message) {
  const payload = v8.serialize(message);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([length, payload]);
}

/** Resolves with the 'error' of a child, and when its channel is closed. */
async function failureOf(child) {
  const ended = new Promise((resolve) => child.once('disconnect', resolve));
  const [error] = await once(child, 'error');
  await ended;
  return error;
}

describe("receiving on stock Node's wire", () => {
  it('acknowledges a handle that arrived and delivers it with its message', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const client = await connectTo(peer, 'it');
    const arrived = once(child, 'message');
    peer.tell('handle', { value: { a: 1 }, thing: 'it' });
    await peer.sees('NODE_HANDLE_ACK');
    const [message, socket] = await arrived;
    assert.deepEqual(message, { a: 1 });
    peer.tell('forget', { thing: 'it' });
    socket.end('hello');
    assert.equal(await textOf(client), 'hello');
    await leave(both);
  });

  it('says that a handle did not arrive, and takes it the next time', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const client = await connectTo(peer, 'it');
    const messages = messagesOf(child, 2);
    peer.tell('handle', { value: 'it' });
    await peer.sees('NODE_HANDLE_NACK');
    peer.tell('message', { value: 'plain' });
    peer.tell('handle', { value: 'it', thing: 'it' });
    await peer.sees('NODE_HANDLE_ACK');
    assert.deepEqual(await messages, ['plain', 'it']);
    client.destroy();
    await leave(both);
  });

  it('unwraps what stock wrapped twice when it repeats a handle', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const client = await connectTo(peer, 'it');
    const arrived = once(child, 'message');
    const value = { cmd: 'NODE_HANDLE', type: 'net.Socket', msg: 'it' };
    peer.tell('handle', { value, thing: 'it', type: 'net.Native' });
    const [message, socket] = await arrived;
    assert.equal(message, 'it');
    assert.ok(socket instanceof net.Socket);
    await peer.sees('NODE_HANDLE_ACK');
    await peer.ask('mark', 'marked'); // and no second one, which stock could not take
    assert.deepEqual(
      peer.seen.map(({ event }) => event),
      ['listening', 'accepted', 'NODE_HANDLE_ACK', 'marked'],
    );
    socket.destroy();
    client.destroy();
    await leave(both);
  });

  for (const [how, fields] of Object.entries({
    'a type that is not known': { type: 'net.Everything' },
    'a type that every object has': { type: '__proto__' },
    'a type that is no text': { type: 7 },
    'no type': { type: null },
    'a type that the descriptor is not': { type: 'dgram.Socket', dgramType: 'udp4' },
    'a message of the channel itself': { value: { cmd: 'NODE_HANDLE_ACK' } },
  })) {
    it(`refuses a handle with ${how}, and goes on`, async () => {
      const both = forkNodePeer();
      const { child, peer } = both;
      const client = await connectTo(peer, 'it');
      const messages = messagesOf(child, 1);
      const warned = once(process, 'warning');
      peer.tell('handle', { value: 'never', thing: 'it', ...fields });
      await peer.sees('NODE_HANDLE_ACK');
      peer.tell('message', { value: 'next' });
      assert.equal((await warned)[0].code, 'ERR_FORKWIRE_HANDLE_REFUSED');
      assert.deepEqual(await messages, ['next']);
      client.destroy();
      await leave(both);
    });
  }

  it('refuses a file as a socket', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    await peer.ask('file', 'made', { thing: 'file' });
    const messages = messagesOf(child, 1);
    const warned = once(process, 'warning');
    peer.tell('handle', { value: 'never', thing: 'file' });
    await peer.sees('NODE_HANDLE_ACK');
    peer.tell('message', { value: 'next' });
    await warned;
    assert.deepEqual(await messages, ['next']);
    await leave(both);
  });

  it('closes descriptors that came with plain messages', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    await peer.ask('file', 'made', { thing: 'file' });
    const messages = messagesOf(child, 2);
    peer.tell('message', { value: 1, things: ['file', 'file', 'file'] });
    peer.tell('message', { value: 2, things: ['file'] });
    assert.deepEqual(await messages, [1, 2]);
    await leave(both);
  });

  it('tells a message with handles that waits for a listener from the plain ones behind it', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const client = await connectTo(peer, 'it');
    peer.tell('handle', { value: 'it', thing: 'it' });
    peer.tell('message', { value: 'behind' });
    await peer.sees('NODE_HANDLE_ACK'); // it landed; nobody listens yet
    await wait(PAUSE);
    const got = [];
    child.on('message', (message, handle) => {
      got.push([message, handle !== undefined]);
      handle?.destroy();
    });
    await until(() => got.length === 2);
    assert.deepEqual(got, [
      ['it', true],
      ['behind', false],
    ]);
    client.destroy();
    await leave(both);
  });

  it('emits internal messages as such, with and without a handle', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const client = await connectTo(peer, 'it');
    child.on('message', () => assert.fail('not a message'));
    const got = [];
    child.on('internalMessage', (message, handle) => {
      got.push([message.cmd, handle !== undefined]);
      handle?.destroy();
    });
    peer.tell('message', { value: { cmd: 'NODE_OTHER' } });
    peer.tell('handle', { value: { cmd: 'NODE_HANDED' }, thing: 'it' });
    await until(() => got.length === 2);
    assert.deepEqual(got, [
      ['NODE_OTHER', false],
      ['NODE_HANDED', true],
    ]);
    child.send({ cmd: 'NODE_BACK' });
    assert.deepEqual((await peer.sees('NODE_BACK')).message, { cmd: 'NODE_BACK' });
    client.destroy();
    await leave(both);
  });

  it('answers how many sockets of a key it holds', async () => {
    const both = forkNodePeer();
    const { child, peer } = both;
    const client = await connectTo(peer, 'it');
    const ask = async (cmd, answer) => {
      peer.tell('message', { value: { cmd, key: '4:127.0.0.1:80' } });
      return (await peer.sees(answer)).message;
    };
    const count = async () => (await ask('NODE_SOCKET_GET_COUNT', 'NODE_SOCKET_COUNT')).count;
    assert.equal(await count(), 0);
    const arrived = once(child, 'message');
    peer.tell('handle', { value: 'it', thing: 'it', key: '4:127.0.0.1:80' });
    const [, socket] = await arrived;
    assert.equal(await count(), 1);
    const closed = ask('NODE_SOCKET_NOTIFY_CLOSE', 'NODE_SOCKET_ALL_CLOSED');
    socket.destroy();
    assert.deepEqual(await closed, { cmd: 'NODE_SOCKET_ALL_CLOSED', key: '4:127.0.0.1:80' });
    assert.equal(await count(), 0);
    await ask('NODE_SOCKET_NOTIFY_CLOSE', 'NODE_SOCKET_ALL_CLOSED');
    client.destroy();
    await leave(both);
  });

  it('does not acknowledge more handles than may wait for a listener', async () => {
    const both = forkNodePeer({ credit: { handles: 1 } });
    const { child, peer } = both;
    const client = await connectTo(peer, 'it');
    peer.tell('handle', { value: 'it', thing: 'it' });
    await wait(PAUSE);
    await peer.ask('mark', 'marked');
    assert.ok(!peer.seen.some(({ event }) => event === 'NODE_HANDLE_ACK'));
    child.once('message', (_message, socket) => socket.destroy());
    await peer.sees('NODE_HANDLE_ACK');
    client.destroy();
    await leave(both);
  });

  it('ends the channel of a peer that sends a handle while one is not acknowledged', async () => {
    const { child, peer } = forkNodePeer({ credit: { handles: 1 } });
    const client = await connectTo(peer, 'it');
    const failure = failureOf(child);
    peer.tell('handle', { value: 'it', thing: 'it' });
    peer.tell('handle', { value: 'too early', thing: 'it' });
    const error = await failure;
    assert.equal(error.code, 'ERR_FORKWIRE_PROTOCOL');
    assert.match(error.message, /window/);
    client.destroy();
    await peer.leave();
    await exited(child);
  });

  describe('messages in pieces', () => {
    it("'json', byte by byte", async () => {
      const both = forkNodePeer();
      const messages = messagesOf(both.child, 2);
      const hex = Buffer.from('{"a":"é😀"}\n[1,2]\n').toString('hex');
      both.peer.tell('bytes', { hex, step: 1 });
      assert.deepEqual(await messages, [{ a: 'é😀' }, [1, 2]]);
      await leave(both);
    });

    it("'advanced', byte by byte, also with a handle", async () => {
      const both = forkNodePeer({ serialization: 'advanced' });
      const { child, peer } = both;
      const client = await connectTo(peer, 'it');
      const got = [];
      child.on('message', (message, handle) => {
        got.push([message, handle !== undefined]);
        handle?.destroy();
      });
      const map = new Map([['é', 2n]]);
      const wrapped = { cmd: 'NODE_HANDLE', type: 'net.Socket', msg: map };
      const frames = [advanced(wrapped), advanced(map)].map((each) => each.toString('hex'));
      peer.tell('bytes', { hex: frames[0], step: 1, things: ['it'] });
      peer.tell('bytes', { hex: frames[1], step: 1 });
      await until(() => got.length === 2);
      assert.deepEqual(got, [
        [map, true],
        [map, false],
      ]);
      client.destroy();
      await leave(both);
    });

    it('many at once', async () => {
      const both = forkNodePeer({ serialization: 'advanced' });
      const messages = messagesOf(both.child, 300);
      const all = Array.from({ length: 300 }, (_, i) => advanced(i));
      both.peer.tell('bytes', { hex: Buffer.concat(all).toString('hex'), step: 1000 });
      assert.deepEqual(
        await messages,
        all.map((_, i) => i),
      );
      await leave(both);
    });
  });

  describe('a message that is too large', () => {
    for (const length of ['80000000', 'ffffffff', '40000001']) {
      it(`by its length of 0x${length}, which no version takes as negative`, async () => {
        const { child, peer } = forkNodePeer({ serialization: 'advanced' });
        const failure = failureOf(child);
        peer.tell('bytes', { hex: `${length}00` });
        assert.equal((await failure).code, 'ERR_FORKWIRE_MESSAGE_TOO_LARGE');
        await peer.leave();
        await exited(child);
      });
    }

    it('without an end', async () => {
      const { child, peer } = forkNodePeer({ maxMessageSize: 100 * KIB });
      const failure = failureOf(child);
      peer.tell('flood', { count: 4000 });
      await peer.sees('refused');
      assert.equal((await failure).code, 'ERR_FORKWIRE_MESSAGE_TOO_LARGE');
      await peer.leave();
      await exited(child);
    });

    it('of ours is refused at the call', async () => {
      const both = forkNodePeer({ maxMessageSize: 100 });
      const { child, peer } = both;
      const refused = { code: 'ERR_FORKWIRE_MESSAGE_TOO_LARGE' };
      assert.throws(() => child.send('x'.repeat(100)), refused);
      child.send('x'.repeat(98));
      assert.equal((await peer.sees('message')).message.length, 98);
      await leave(both);
    });
  });

  it('that cannot be parsed ends the channel, after those before it', async () => {
    const { child, peer } = forkNodePeer();
    const messages = messagesOf(child, 1);
    const failure = failureOf(child);
    peer.tell('line', { text: '"good"\n{"bad":' });
    assert.deepEqual(await messages, ['good']);
    assert.equal((await failure).code, 'ERR_FORKWIRE_BAD_MESSAGE');
    await peer.leave();
    await exited(child);
  });

  it('in a child without a free descriptor waits until there is one', async () => {
    const peer = startNodeParent(
      functionArgs(() => {
        const { closeSync, openSync } = require('node:fs');
        process.on('message', (message, socket) => {
          console.log(`${message} ${socket !== undefined}`);
          if (!socket) process.exit();
          socket.end('of the child');
        });
        process.stdout.write('');
        const free = openSync('/dev/null');
        closeSync(free);
        process.send({ free, pid: process.pid });
      }),
    );
    const { free, pid } = (await peer.sees('message')).message;
    const client = await connectTo(peer, 'it');
    const limit = (n) => execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${n}:`]);
    limit(free);
    peer.tell('handle', { value: 'it', thing: 'it' });
    await wait(4 * PAUSE);
    await peer.ask('mark', 'marked');
    const names = peer.seen.map(({ event }) => event);
    assert.ok(!names.some((name) => name.startsWith('NODE_HANDLE')), names.join());
    limit(1024);
    await peer.sees('NODE_HANDLE_NACK');
    peer.tell('handle', { value: 'it', thing: 'it' });
    await peer.sees('NODE_HANDLE_ACK');
    assert.equal((await peer.sees('output')).line, 'it true');
    peer.tell('forget', { thing: 'it' });
    assert.equal(await textOf(client), 'of the child');
    peer.tell('message', { value: 'end' });
    await peer.sees('exit', { code: 0 });
    await peer.leave();
  });
});
