'use strict';

// The limits that fork() takes as options: what is below them passes, what is beyond costs what docs/api.md says.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const net = require('node:net');
const { forkRawPeer, startRawParent } = require('../fixtures/protocol-peer');
const { close, connectedPair, listen, send, textOf } = require('../fixtures/socket-clients');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { fixture, forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { functionArgs } = require('../helpers/run');
const { resume, stop } = require('../helpers/stopped');
const { fork, spawn } = require('../..');

const KIB = 1024;
const MIB = 1024 * KIB;
const ENCODING = { JSON: 1, LATIN1: 2, V8: 5, BYTES: 6 };
const UNIX = 2;

async function end(child) {
  child.disconnect();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

/** The error that ends a channel. */
async function failure(child) {
  const [error] = await once(child, 'error');
  return error;
}

describe('the options of fork() that are limits', () => {
  it('are checked at the call, whatever wire the child will get, and leave nothing behind', () => {
    const wrong = [
      [{ maxMessageSize: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ maxQueueBytes: '1' }, 'ERR_INVALID_ARG_TYPE'],
      [{ credit: { bytes: 1 } }, 'ERR_OUT_OF_RANGE'],
      [{ acceptHandles: ['everything'] }, 'ERR_INVALID_ARG_VALUE'],
      [{ untrusted: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [{ untrusted: true, serialization: 'advanced' }, 'ERR_INVALID_ARG_VALUE'],
      [{ exitFlush: { stall: -1 } }, 'ERR_OUT_OF_RANGE'],
    ];
    for (const channel of ['native', 'node']) {
      for (const [options, code] of wrong) {
        assert.throws(() => fork(fixture('idle.js'), [], { channel, ...options }), { code });
        const stdio = ['ignore', 'ignore', 'ignore', 'ipc'];
        assert.throws(() => spawn('true', [], { channel, stdio, ...options }), { code });
      }
    }
  });

  it('reach the child in FORKWIRE_CHANNEL, if they bind both ends', async () => {
    const { peer } = forkRawPeer({
      maxMessageSize: 100,
      maxQueueBytes: 5,
      acceptHandles: false,
      credit: { bytes: MIB, handles: 7 },
      exitFlush: { total: 9 },
    });
    const { values } = await peer.ask('named', 'named');
    // What says where forkwire is, which another program's child gets, is of no interest here.
    const { addon: _addon, preload: _preload, ...others } = values;
    assert.deepEqual(others, {
      serialization: 'json',
      'max-message-size': '100',
      'credit-bytes': `${MIB}`,
      'credit-handles': '7',
      'exit-total': '9',
    });
    assert.equal((await peer.sees('HELLO')).maxMessageSize, 100);
    await peer.leave();
  });

  // More handles than the core has places for, and numbers that no type holds.
  for (const [value, count] of [
    [5000, 512],
    [9_999_999_999, 512],
    [0, 512],
  ]) {
    it(`are taken for the nearest that may be, from the environment: ${value}`, async () => {
      const names = ['credit-handles', 'credit-bytes', 'max-message-size', 'exit-stall'];
      const told = names.map((name) => `${name}=${value}`).join(',');
      const body = functionArgs(() => {
        const server = require('node:net')
          .createServer()
          .listen(0, () => {
            for (let i = 0; i < 700; i++) process.send(i, server, { keepOpen: true });
          });
        process.on('disconnect', () => server.close());
      });
      const peer = startRawParent(body, { args: ['--channel', `:${told}`] });
      const largest = value === 5000 ? value : 1024 * MIB;
      assert.equal((await peer.sees('HELLO')).maxMessageSize, largest);
      await peer.sees('USER', { value: count - 1 });
      peer.tell('end');
      assert.equal((await peer.sees('exit')).code, 0);
      await peer.leave();
      assert.equal(peer.seen.filter(({ event }) => event === 'USER').length, count);
    });
  }
});

describe('maxMessageSize', () => {
  const TOO_LARGE = { code: 'ERR_FORKWIRE_MESSAGE_TOO_LARGE' };

  it('is what send() still takes, at both ends and from the first message on', async () => {
    const child = forkFunction({ maxMessageSize: 1000 }, () => {
      process.on('message', (message) => {
        try {
          process.send(message + message);
        } catch ({ code }) {
          process.send(code);
        }
      });
    });
    const numbers = { pid: child.pid, size: 1003, maxMessageSize: 1000 };
    // Before its HELLO, and with two quotes.
    assert.throws(() => child.send('x'.repeat(1001)), { ...TOO_LARGE, ...numbers });
    child.send('x'.repeat(499)); // 998 of them, and two quotes
    assert.equal(await nextMessage(child), 'x'.repeat(998));
    child.send('y'.repeat(998));
    assert.equal(await nextMessage(child), TOO_LARGE.code);
    assert.throws(() => child.send('x'.repeat(1001)), TOO_LARGE);
    await end(child);
  });

  it('is what a peer accepts: one that says less ends its channel, and no send() throws', async () => {
    const { child, peer } = forkRawPeer({ args: ['--quiet'] });
    const failed = failure(child);
    peer.tell('hello', { max_message_size: 10 });
    let count = 0;
    const timer = setInterval(() => {
      if (child.connected) child.send({ go: ++count }, () => {});
    }, 1);
    const { message } = await failed;
    clearInterval(timer);
    assert.match(message, /: HELLO frame at byte 0: limit$/);
    await peer.leave();
  });

  it('ends the channel of a peer that announces more', async () => {
    const { child, peer } = forkRawPeer({ maxMessageSize: 1000 });
    const messages = [];
    child.on('message', (message) => messages.push(message));
    peer.tell('message', { encoding: ENCODING.LATIN1, value: 'z'.repeat(1000) });
    peer.tell('message', { encoding: ENCODING.LATIN1, value: 'z'.repeat(1001) });
    const { code, maxMessageSize, message } = await failure(child);
    assert.deepEqual([code, maxMessageSize], [TOO_LARGE.code, 1000]);
    assert.match(message, /of the peer .* 1000 bytes/);
    assert.deepEqual(messages, ['z'.repeat(1000)]);
    await peer.leave();
  });

  it('counts what a socket brings along', async () => {
    const child = forkFixture('sink.js', [], { maxMessageSize: 100 });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    socket.pause();
    client.write('x'.repeat(100));
    await once(socket, 'readable');
    assert.throws(() => child.send('it', socket), TOO_LARGE);
    assert.equal(`${socket.read()}`, 'x'.repeat(100));
    socket.end();
    client.resume();
    await Promise.all([close(server), end(child)]);
  });
});

describe('maxQueueBytes', () => {
  const FULL = 'ERR_FORKWIRE_QUEUE_FULL';
  const text = 'x'.repeat(10_000);
  let child;

  /** Sends what the kernel takes, and then until the queue is full. Gives how many messages were accepted. */
  async function fill() {
    for (let count = 0; ; count++) {
      const calledBack = send(child, text);
      const result = await Promise.race([calledBack, new Promise(setImmediate)]);
      if (result?.code !== FULL) continue;
      const { pid, size, queued, maxQueueBytes } = result;
      assert.deepEqual([pid, size, maxQueueBytes], [child.pid, text.length, 300_000]);
      assert.ok(queued <= maxQueueBytes && queued + size > maxQueueBytes);
      const told = `it has ${size} bytes, ${queued} wait to be written, and maxQueueBytes is ${maxQueueBytes}`;
      assert.ok(result.message.includes(`${told}. Send it after 'drain'`));
      return count;
    }
  }

  beforeEach(async () => {
    child = forkFunction({ maxQueueBytes: 300_000, credit: { bytes: 512 * KIB } }, () => {
      let count = 0;
      process.on('message', (message, handle) => {
        if (typeof message === 'string') count++;
        else process.send({ count, handle: handle !== undefined });
        handle?.end('from the child');
      });
      process.send('up');
    });
    await nextMessage(child);
    stop(child);
  });

  it('is where send() accepts no more; what it accepted arrives', async () => {
    const accepted = await fill();
    assert.equal(
      child.send(text, () => {}),
      false,
    );
    resume(child);
    await once(child, 'drain');
    child.send({});
    assert.deepEqual(await nextMessage(child), { count: accepted, handle: false });
    await end(child);
  });

  it("is an 'error' without a callback, and silent with swallowErrors", async () => {
    await fill();
    const failed = failure(child);
    child._send(text, undefined, true);
    child.send(text);
    assert.equal((await failed).code, FULL);
    resume(child);
    await end(child);
  });

  it('leaves the socket of such a message as it was', async () => {
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    await fill();
    const error = await send(child, text, socket);
    assert.equal(error.code, FULL);
    client.write('ping');
    assert.equal(`${await once(socket, 'data')}`, 'ping');
    resume(child);
    await once(child, 'drain');
    child.send({}, socket);
    assert.equal(await textOf(client), 'from the child');
    await close(server);
    await end(child);
  });

  it('does not keep the messages of cluster back', async () => {
    await fill();
    const written = send(child, { cmd: 'NODE_x', text });
    resume(child);
    assert.equal(await written, null);
    await end(child);
  });

  it('refuses a message that alone is larger', async () => {
    resume(child);
    const error = await send(child, 'x'.repeat(300_000));
    assert.equal(error.code, FULL);
    assert.equal(await send(child, 'x'.repeat(299_000)), null);
    await end(child);
  });
});

describe('credit', () => {
  it('is what a peer is sent at most before it answers', async () => {
    const { child, peer } = forkRawPeer({ credit: { bytes: 512 * KIB, handles: 3 } });
    peer.tell('grant_by_hand');
    const server = await listen();
    for (let i = 0; i < 5; i++) child.send(`handle ${i}`, server);
    for (let i = 0; i < 3; i++) await peer.sees('USER');
    peer.tell('taken', { ranges: [[1, 1]] });
    assert.equal((await peer.sees('USER')).value, 'handle 3');
    peer.tell('taken', { ranges: [[2, 4]] });
    assert.equal((await peer.sees('USER')).value, 'handle 4');
    for (let i = 0; i < 8; i++) child.send('x'.repeat(100 * KIB));
    for (let i = 0; i < 5; i++) await peer.sees('USER');
    const taken = peer.ask('sent', 'sent');
    await taken; // it has read all that there is
    assert.equal(peer.seen.filter(({ event }) => event === 'USER').length, 10);
    peer.tell('credit');
    for (let i = 0; i < 3; i++) await peer.sees('USER');
    child.disconnect();
    await peer.leave();
    await close(server);
  });

  it('ends the channel of a peer that sends more', async () => {
    for (const options of [{ bytes: 512 * KIB }, { bytes: MIB }]) {
      const { child, peer } = forkRawPeer({ credit: options });
      const body = `"${'x'.repeat(100_000)}"`;
      for (let size = 0; size < options.bytes; size += 100_000) {
        peer.tell('frame', { kind: 'USER', encoding: 1, hex: Buffer.from(body).toString('hex') });
      }
      assert.match((await failure(child)).message, /USER frame at byte \d+: credit$/);
      await peer.leave();
    }
  });

  it('ends the channel of a peer that sends more handles', async () => {
    const { child, peer } = forkRawPeer({ credit: { handles: 2 } });
    for (const thing of ['a', 'b', 'c']) peer.tell('pair', { thing });
    peer.tell('set', { things: ['a', 'b', 'c'], kind: UNIX });
    assert.match((await failure(child)).message, /USER frame at byte \d+: handle-credit$/);
    await peer.leave();
  });

  it('may be small without anything coming to a standstill', async () => {
    const credit = { bytes: 512 * KIB, handles: 1 };
    const child = forkFunction({ credit }, () => {
      process.on('message', (message, handle) => {
        process.send(message);
        handle?.close();
      });
    });
    const large = 'y'.repeat(3 * MIB);
    const server = await listen();
    for (let i = 0; i < 3; i++) {
      child.send(large);
      for (let j = 0; j < 20; j++) child.send(j, server);
    }
    const messages = await messagesOf(child, 63);
    const expected = [large, ...Array(20).keys()];
    assert.deepEqual(messages, [...expected, ...expected, ...expected]);
    await Promise.all([close(server), end(child)]);
  });
});

describe('acceptHandles', () => {
  /** Sends one handle of every kind; says what came back. */
  function sendAll() {
    const handles = {
      server: require('node:net').createServer(),
      dgram: require('node:dgram').createSocket('udp4'),
    };
    process.on('undelivered', (message) => process.send({ undelivered: message }));
    handles.server.listen(0, '127.0.0.1', () => {
      handles.dgram.bind(0, '127.0.0.1', () => {
        process.send('server', handles.server, () => handles.server.close());
        process.send('dgram', handles.dgram, () => handles.dgram.close());
        process.send('last');
      });
    });
    process.on('message', () => {});
  }

  const sent = { server: net.Server, dgram: dgram.Socket };

  async function assertAccepted(acceptHandles, accepted) {
    const child = forkFunction({ acceptHandles }, sendAll);
    const got = [];
    child.on('message', (message, handle) => {
      got.push(message);
      if (handle === undefined) return;
      assert.ok(handle instanceof sent[message]);
      handle.close();
    });
    while (got.length < 3) await once(child, 'message');
    const refused = Object.keys(sent).filter((name) => !accepted.includes(name));
    assert.deepEqual(
      got.filter((message) => sent[message]),
      accepted,
    );
    assert.deepEqual(
      got.filter((message) => message.undelivered).map(({ undelivered }) => undelivered),
      refused,
    );
    await end(child);
  }

  it('false: none of the child is taken, and it gets them back', () => assertAccepted(false, []));

  it('a list: only those kinds', () => assertAccepted(['dgram.Socket'], ['dgram']));

  it('true: all', () => assertAccepted(true, ['server', 'dgram']));

  it('is what the parent accepts: the child gets what it is sent', async () => {
    const child = forkFunction({ acceptHandles: false }, () => {
      process.on('message', (_, socket) => socket.end('from the child'));
    });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    child.send('yours', socket);
    assert.equal(await textOf(client), 'from the child');
    await Promise.all([close(server), end(child)]);
  });

  it('tells a peer why, and keeps the channel', async () => {
    const { child, peer } = forkRawPeer({ acceptHandles: ['net.Server'] });
    peer.tell('pair', { thing: 'a' });
    peer.tell('message', { value: 'it', thing: 'a', kind: UNIX });
    assert.equal((await peer.sees('REFUSED')).reason, 2);
    const message = nextMessage(child);
    peer.tell('message', { value: 'still here' });
    assert.equal(await message, 'still here');
    await peer.leave();
  });
});

describe('untrusted: true', () => {
  it('leaves ordinary messages as they are', async () => {
    const child = forkFixture('echo.js', [], { untrusted: true });
    for (const message of ['text', { a: [1, null] }, 5, 'é€']) {
      child.send(message);
      assert.deepEqual(await nextMessage(child), message);
    }
    await end(child);
  });

  for (const [name, encoding] of [
    ['a value of V8', ENCODING.V8],
    ['bytes', ENCODING.BYTES],
  ]) {
    for (const options of [{ untrusted: true }, { serialization: 'json' }]) {
      const what = JSON.stringify(options);
      it(`ends the channel of a peer that sends ${name}, as json does (${what})`, async () => {
        const { child, peer } = forkRawPeer(options);
        peer.tell('frame', { kind: 'USER', encoding, hex: 'ff0f54' });
        assert.match((await failure(child)).message, /USER frame at byte 48: encoding$/);
        await peer.leave();
      });
    }
  }

  it('has small limits', async () => {
    const { child, peer } = forkRawPeer({ untrusted: true });
    assert.equal((await peer.sees('HELLO')).maxMessageSize, MIB);
    peer.tell('pair', { thing: 'a' });
    peer.tell('message', { value: 'it', thing: 'a', kind: UNIX });
    assert.equal((await peer.sees('REFUSED')).reason, 2);
    peer.tell('frame', {
      kind: 'USER',
      flags: 1,
      encoding: ENCODING.JSON,
      hex: '0100100000000000',
    });
    assert.equal((await failure(child)).code, 'ERR_FORKWIRE_MESSAGE_TOO_LARGE');
    await peer.leave();
  });
});
