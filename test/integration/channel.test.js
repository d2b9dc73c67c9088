'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const { loadChannelAddon } = require('../helpers/channel-addon');
const { sleep } = require('../helpers/stopped');
const { until } = require('../helpers/until');

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A frame of docs/protocol.md. */
function frame(kind, payload = Buffer.alloc(0), { encoding = 0, id = 0 } = {}) {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(payload.length);
  header[4] = kind;
  header[6] = encoding;
  header.writeBigUInt64LE(BigInt(id), 8);
  return Buffer.concat([header, payload]);
}

function hello() {
  const payload = Buffer.alloc(32);
  payload.write('forkwire');
  payload.writeUInt16LE(1, 8);
  payload.writeUInt16LE(1, 10);
  payload.writeBigUInt64LE(1n << 30n, 24);
  return frame(1, payload);
}

const HELLO = hello();

const counts = (pairs) => {
  const payload = new BigUint64Array(pairs.flat().map(BigInt));
  return frame(12, Buffer.from(payload.buffer));
};

const USER = 0;
const INTERNAL = 1;
const JSON_TEXT = 1;
const NONE = -1;

/** One channel of the addon, with what its callbacks noted. */
class Channel {
  constructor(addon, fd, { endStall = 0, exitStall = 200, exitTotal = 1000, max = 0 } = {}) {
    this.addon = addon;
    this.number = addon.open(fd, endStall, exitStall, exitTotal, max);
    assert.ok(this.number >= 0, `${this.number}`);
    this.seen = [];
  }

  get lines() {
    this.seen.push(...this.addon.lines(this.number).split('\n').filter(Boolean));
    return this.seen;
  }

  call(name, ...args) {
    return this.addon.call(this.number, name, ...args);
  }

  send(text, { lane = USER, fd = NONE, token = 0, dup = true, flags = 0 } = {}) {
    return this.addon.send(this.number, lane, JSON_TEXT, text, fd, token, dup ? 1 : 0, flags);
  }

  saw(start) {
    return this.lines.filter((line) => line.startsWith(start));
  }

  waitFor(start, count = 1) {
    return until(() => this.saw(start).length >= count, `${start} (${count})`);
  }
}

describe('the channel of the core', () => {
  let addon;
  let channels;
  let sockets;

  before(() => {
    addon = loadChannelAddon();
  });

  beforeEach(() => {
    channels = [];
    sockets = [];
  });

  afterEach(async () => {
    for (const channel of channels) channel.call('close');
    for (const socket of sockets) socket.destroy();
    for (const channel of channels) await channel.waitFor('closed');
  });

  const open = (fd, options) => {
    const channel = new Channel(addon, fd, options);
    channels.push(channel);
    return channel;
  };

  const pair = (options) => addon.socketPair().map((fd) => open(fd, options));

  /** The descriptor of a connected TCP socket that belongs to the test. */
  async function tcpDescriptor() {
    const server = net.createServer((socket) => sockets.push(socket)).listen(0);
    await once(server, 'listening');
    const socket = net.connect(server.address().port);
    await once(socket, 'connect');
    await until(() => sockets.length > 0);
    sockets.push(socket);
    server.close();
    return socket._handle.fd;
  }

  it('says HELLO at once on both ends, and reports one batch a read', async () => {
    const [a, b] = pair();
    a.send('1');
    a.send('2', { lane: INTERNAL });
    await b.waitFor('batch');
    assert.equal(b.lines[0], 'hello');
    assert.deepEqual(
      b.saw('message').map((line) => line.match(/lane=(\d).*text=(.*)/).slice(1)),
      [
        ['0', '1'],
        ['1', '2'],
      ],
    );
    await a.waitFor('hello');
  });

  it('gathers the sends of a turn', async () => {
    const [a, b] = pair();
    for (let i = 0; i < 100; i++) a.send(`${i}`);
    await b.waitFor('message', 100);
    assert.ok(b.saw('batch').length <= 20, `${b.saw('batch').length} batches`);
    assert.equal(a.call('written', USER), 100);
    assert.equal(a.call('queued'), 0);
  });

  it('ends at once when nothing is outstanding, and the peer answers', async () => {
    const [a, b] = pair();
    await a.waitFor('hello');
    assert.equal(a.call('end'), 1);
    await b.waitFor('end peer');
    await a.waitFor('closed');
    await b.waitFor('closed');
    assert.deepEqual(a.saw('end'), []);
  });

  it('needs no answer when both ends say END', async () => {
    const [a, b] = pair();
    await Promise.all([a.waitFor('hello'), b.waitFor('hello')]);
    a.call('end');
    b.call('end');
    await a.waitFor('closed');
    await b.waitFor('closed');
    assert.deepEqual(b.saw('end peer'), []);
  });

  it('delivers what came before END, and nothing that comes after', async () => {
    const [a, b] = pair();
    a.send('1');
    a.call('end');
    assert.equal(a.send('2'), -32);
    await b.waitFor('end peer');
    assert.equal(b.saw('message').length, 1);
  });

  it('keeps END back while the peer holds', async () => {
    const [a, b] = pair();
    const fd = await tcpDescriptor();
    b.call('hold');
    a.send('1', { fd, token: 5 });
    a.call('end');
    await b.waitFor('message');
    assert.deepEqual(b.saw('end'), []);
    const taken = b.call('adopt', 1);
    assert.ok(taken >= 0);
    fs.closeSync(taken);
    assert.equal(b.call('taken', 1), 0);
    b.call('release');
    await a.waitFor('end own');
    assert.deepEqual(a.saw('settled'), ['settled 5 taken 0']);
  });

  it('reports a handle as taken, refused or returned, once', async () => {
    const [a, b] = pair();
    const fd = await tcpDescriptor();
    for (const token of [1, 2, 3]) a.send('1', { fd, token });
    await b.waitFor('message', 3);
    fs.closeSync(b.call('adopt', 1));
    b.call('taken', 1);
    b.call('refuse', 2, 2);
    await a.waitFor('settled', 2);
    b.call('close');
    await a.waitFor('end died');
    assert.deepEqual(a.saw('settled').sort(), [
      'settled 1 taken 0',
      'settled 2 returned 2',
      'settled 3 returned 0',
    ]);
  });

  it('returns queued handles when a flush before END makes no progress', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours, { endStall: 100 });
    const fd = await tcpDescriptor();
    while (a.call('queued') === 0) a.send('x'.repeat(100_000));
    a.send('1', { fd, token: 7 });
    assert.equal(a.call('end'), 0);
    await a.waitFor('end own');
    assert.deepEqual(a.saw('settled'), ['settled 7 returned 0']);
    fs.closeSync(theirs);
    await a.waitFor('closed');
  });

  it('ends a channel whose peer breaks a rule, and names the rule', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours);
    fs.writeSync(theirs, Buffer.alloc(16));
    await a.waitFor('closed');
    assert.deepEqual(a.saw('end'), ['end violation kind']);
    fs.closeSync(theirs);
  });

  it('tells counts with the batch of a message that is sent behind them', async () => {
    const [a, b] = pair();
    b.call('expectCounts', 9, 1);
    a.call('addClosed', 9, 1);
    a.call('addClosed', 9, 1);
    a.send('1');
    await b.waitFor('message');
    await b.waitFor('counts');
    const at = (start) => b.lines.findIndex((line) => line.startsWith(start));
    assert.ok(at('counts') < b.lines.indexOf('batch', at('message')));
    assert.deepEqual(b.saw('counts'), ['counts 9 2']);
  });

  it('tells counts of a batch together, and only of keys that are expected', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours);
    for (const key of [7, 9]) a.call('expectCounts', key, 1);
    a.call('expectCounts', 7, 0);
    const frame = counts([
      [9, 1],
      [8, 1],
      [7, 1],
      [9, 2],
    ]);
    fs.writeSync(theirs, Buffer.concat([HELLO, ...Array(10).fill(frame)]));
    await a.waitFor('counts');
    assert.deepEqual(a.saw('counts'), ['counts 9 30']);
    fs.closeSync(theirs);
    await a.waitFor('closed');
  });

  it('reads what a dead peer left in slices, and nothing that comes later', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours);
    fs.writeSync(theirs, HELLO);
    await a.waitFor('hello');
    const messages = frame(3, Buffer.from('1'), { encoding: JSON_TEXT });
    fs.writeSync(theirs, Buffer.concat(Array(6000).fill(messages)));
    a.call('peerDied');
    assert.ok(a.saw('message').length < 4500, `${a.saw('message').length} at once`);
    fs.writeSync(theirs, Buffer.concat(Array(1000).fill(messages)));
    await a.waitFor('closed');
    const { length } = a.saw('message');
    assert.ok(length >= 6000 && length < 7000, `${length}`);
    assert.deepEqual(a.saw('end'), ['end died']);
    fs.closeSync(theirs);
  });

  it('closes a channel whose END nobody answers', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours, { endStall: 100 });
    fs.writeSync(theirs, HELLO);
    await a.waitFor('hello');
    assert.equal(a.call('end'), 1);
    await a.waitFor('closed');
    fs.closeSync(theirs);
  });

  it('closes a channel whose peer ended and does not read the answer', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours, { endStall: 100 });
    while (a.call('queued') === 0) a.send('x'.repeat(100_000));
    fs.writeSync(theirs, Buffer.concat([HELLO, frame(13)]));
    await a.waitFor('closed');
    assert.deepEqual(a.saw('end'), ['end peer']);
    fs.closeSync(theirs);
  });

  it('closes a channel whose peer refuses a handle because it ends, and does not end', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours, { endStall: 200 });
    const fd = await tcpDescriptor();
    a.send('1', { fd, token: 7 });
    const landed = frame(6, undefined, { id: 1 });
    const refused = frame(8, Buffer.from([5, 0, 0, 0]), { id: 1 });
    fs.writeSync(theirs, Buffer.concat([HELLO, landed, refused]));
    await a.waitFor('settled 7 returned 5');
    const message = frame(3, Buffer.from('1'), { encoding: JSON_TEXT });
    for (let i = 0; i < 4; i++) {
      await wait(100); // what it still sends is delivered, and counts
      fs.writeSync(theirs, message);
      await a.waitFor('message', i + 1);
    }
    assert.deepEqual(a.saw('end'), []);
    await a.waitFor('closed');
    assert.deepEqual(a.saw('end'), ['end peer']);
    fs.closeSync(theirs);
  });

  it('is closed at the death of its peer, whatever it waits for and whoever holds the socket', async () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours);
    fs.writeSync(theirs, HELLO);
    await a.waitFor('hello');
    assert.equal(a.call('end'), 1);
    a.call('peerDied');
    await a.waitFor('closed');
    fs.closeSync(theirs);
  });

  it('tells of writes that are done, also when that is known before the handle left', async () => {
    const [a, b] = pair();
    const fd = await tcpDescriptor();
    a.send('1', { fd, token: 1, flags: 1 });
    a.call('writesDone', 1, 0);
    await b.waitFor('writes-done');
    assert.deepEqual(b.saw('writes-done'), ['writes-done 1 0']);
    b.call('refuse', 1, 2);
    await a.waitFor('settled');
  });

  it('writes without a turn of the loop in the flush at exit', () => {
    const [a, b] = pair();
    for (let i = 0; i < 10; i++) a.send('x'.repeat(1000));
    a.call('flushFinal');
    assert.equal(a.call('queued'), 0);
    assert.deepEqual(b.lines, []);
  });

  it('looks at all that has come before it gives an answer up, also behind descriptors', async () => {
    const [a, b] = pair({ endStall: 100 });
    const fd = await tcpDescriptor();
    a.send('handed over', { fd, token: 7 });
    await b.waitFor('message');
    for (let i = 0; i < 3; i++) {
      b.send('another', { fd, token: i });
      b.call('writeOut'); // in a set of its own, behind which a read ends
    }
    fs.closeSync(b.call('adopt', 1));
    b.call('taken', 1);
    b.call('writeOut');
    a.call('end');
    sleep(200); // the answer is there, and nobody looks
    await a.waitFor('end');
    const told = a.lines.filter((line) => /^(settled|end)/.test(line));
    assert.deepEqual(told, ['settled 7 taken 0', 'end own']);
  });

  it('gives a stopped reader up after the stall limit, once', () => {
    const [ours, theirs] = addon.socketPair();
    const a = open(ours, { exitStall: 1000 });
    for (let i = 0; i < 200; i++) a.send('x'.repeat(100_000));
    const start = performance.now();
    a.call('flushFinal');
    const first = performance.now() - start;
    a.send('1');
    a.call('flushFinal');
    const both = performance.now() - start;
    assert.ok(first >= 995, `${first} ms`);
    assert.ok(both < first + 900, `${both} ms`); // it does not wait again
    fs.closeSync(theirs);
  });

  it('changes nothing when it only writes out', async () => {
    const [a, b] = pair();
    a.send('1');
    a.call('writeOut');
    b.send('2');
    await a.waitFor('message');
    a.send('3');
    await b.waitFor('message', 2);
  });

  it('sleeps while it writes out to a peer that does not read, whatever that one sent', async () => {
    const [a, b] = pair({ exitStall: 300 });
    b.send('1');
    for (let i = 0; i < 4; i++) a.send('x'.repeat(1 << 20));
    const [startedAt, before] = [performance.now(), process.cpuUsage()];
    a.call('writeOut');
    const { user, system } = process.cpuUsage(before);
    const took = performance.now() - startedAt;
    assert.ok(took > 250, `${took} ms`);
    assert.ok((user + system) / 1000 < took / 5, `${user + system} us in ${took} ms`);
    await a.waitFor('message');
    await b.waitFor('message', 4);
  });

  it('does not wait for credit when it only writes out', async () => {
    const [a, b] = pair({ exitStall: 30_000, exitTotal: 30_000 });
    for (let i = 0; i < 20; i++) a.send('x'.repeat(1 << 20));
    await b.waitFor('message', 15);
    const startedAt = performance.now();
    a.call('writeOut');
    assert.ok(performance.now() - startedAt < 20_000);
  });

  for (const what of ['close', 'end', 'send', 'flush']) {
    for (const where of ['message', 'batch', 'hello', 'settled', 'end']) {
      it(`stands ${what} inside on_${where}`, async () => {
        const [a, b] = pair();
        const fd = await tcpDescriptor();
        addon.actOn(b.number, where, what);
        for (let i = 0; i < 5; i++) a.send(`${i}`, { fd, token: i });
        b.send('1', { fd, token: 9 });
        await until(() => b.lines.length > 1);
        a.call('close');
        b.call('close');
        await a.waitFor('closed');
        await b.waitFor('closed');
        assert.deepEqual(b.saw('settled'), ['settled 9 returned 0']);
        assert.equal(a.saw('settled').length, 5);
      });
    }
  }
});
