'use strict';

// docs/protocol.md, section 9: whatever a peer does, it costs this channel only, and the error says what it was.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { QUICK, forkRawPeer, python, startRawParent } = require('../fixtures/protocol-peer');
const { fixture } = require('../helpers/fork-fixture');
const { functionArgs } = require('../helpers/run');
const { isLong, itInLong, some } = require('../helpers/scale');

const script = fixture('protocol-violations.py');
const cases = JSON.parse(execFileSync(python(), [...QUICK, script, 'list'], { encoding: 'utf8' }));
const args = ['--quiet'];

const CODES = { 'too-large': 'ERR_FORKWIRE_MESSAGE_TOO_LARGE', version: 'ERR_FORKWIRE_VERSION' };

function assertError({ code, message }, rule) {
  assert.equal(code, CODES[rule] ?? 'ERR_FORKWIRE_PROTOCOL');
  if (code === 'ERR_FORKWIRE_PROTOCOL') {
    assert.match(
      message,
      new RegExp(`^The peer broke the protocol: [\\w ()]+ frame at byte \\d+: ${rule}$`),
    );
  }
}

/** What is emitted at the end of a channel, in order. */
function recordEnd(child) {
  const events = [];
  for (const name of ['undelivered', 'error', 'disconnect', 'exit', 'close']) {
    child.on(name, (...values) => events.push([name, ...values]));
  }
  return events;
}

const server = net.createServer();

/** A slot is had only where it was asked for. */
const isOfSlot = (name) => name.startsWith('slot: ');

/** Breaks a rule in a peer that was sent the server. */
async function breakParent(name, listens) {
  const latency = isOfSlot(name) ? 'low' : undefined;
  const { child, peer } = forkRawPeer({ script, args, latency });
  const events = recordEnd(child);
  if (listens) child.on('message', (_, handle) => handle?.destroy());
  child.send('mine', server);
  await peer.sees('USER');
  peer.tell('break', { case: name });
  await peer.sees('eof');
  await peer.leave();
  return { child, peer, events };
}

async function assertEndsInParent(rule, name, listens) {
  const { child, events } = await breakParent(name, listens);
  // TAKEN or REFUSED of the one handle may be part of what the case does.
  const isBack = events[0][0] === 'undelivered';
  if (isBack) assert.deepEqual(events.shift().slice(1), ['mine', server]);
  else assert.match(name, /TAKEN|REFUSED/);
  const [[, error], ...others] = events;
  assertError(error, rule);
  assert.ok([0, child.pid].includes(error.pid)); // HELLO says it
  assert.deepEqual(others, [['disconnect'], ['exit', 0, null], ['close', 0, null]]);
  assert.equal(child.connected, false);
  assert.equal(child.channel, null);
}

/** Runs in the child that the raw peer started. */
function victim(channel, listens) {
  const fs = require('node:fs');
  const net = require('node:net');
  const targetOf = (fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  const isSocket = (fd) => targetOf(fd).startsWith('socket:');
  const sockets = () => fs.readdirSync('/proc/self/fd').filter(isSocket).length;
  const before = sockets();
  const say = (...what) => fs.writeSync(1, `${JSON.stringify(what)}\n`);
  const server = net.createServer().listen(0, () => {
    channel.send('mine', server, () => server.close());
  });
  channel.on('error', ({ code, message }) => say('error', code, message));
  channel.on('undelivered', (message, handle) => say('undelivered', message, handle === server));
  if (listens) channel.on('message', (_, handle) => handle?.destroy());
  channel.channel.ref();
  channel.on('disconnect', () => {
    say('disconnect');
    const timer = setInterval(() => {
      if (sockets() !== before - 1) return;
      clearInterval(timer);
      say('clean');
    }, 5);
  });
}

async function breakChild(name, listens) {
  const body = functionArgs(`() => (${victim})(process, ${listens})`);
  const told = isOfSlot(name) ? ['--channel', ':low-latency=1'] : [];
  const peer = startRawParent(body, { script, args: [...args, ...told] });
  await peer.sees('USER');
  peer.tell('break', { case: name });
  await peer.sees('eof');
  await peer.sees('exit', { code: 0 });
  await peer.leave();
  const lines = peer.seen.filter(({ event }) => event === 'output');
  return lines.map(({ line }) => JSON.parse(line));
}

describe('a peer that breaks a rule of the protocol', () => {
  before((done) => {
    server.listen(0, done);
  });

  after((done) => {
    server.close(done);
  });

  it('can break every rule that docs/protocol.md names', () => {
    const text = fs.readFileSync(path.join(__dirname, '../../docs/protocol.md'), 'utf8');
    const table = text.slice(text.indexOf('| rule name |'));
    const rows = table.split('\n').map((row) => row.split('|')[1] ?? '');
    const named = rows.flatMap((cell) => [...cell.matchAll(/`([\w-]+)`/g)].map(([, rule]) => rule));
    assert.deepEqual(new Set(named), new Set(cases.map(([rule]) => rule)));
  });

  const rules = [...new Set(cases.map(([rule]) => rule))];
  for (const [index, rule] of rules.entries()) {
    // test/core/violation_test.c has all of them without a process in every form.
    const all = cases.filter(([other]) => other === rule);
    const own = isLong ? all : all.slice(index % 2 === 0 ? 0 : -1).slice(0, 2);

    it(`ends the channel of its parent (${rule}, ${own.length} cases)`, async () => {
      const inParent = async ([, name, listens]) => {
        try {
          await assertEndsInParent(rule, name, listens);
        } catch (error) {
          error.message = `${name}: ${error.message}`;
          throw error;
        }
      };
      // Processes start slowly: four at a time.
      for (let i = 0; i < own.length; i += 4) await Promise.all(own.slice(i, i + 4).map(inParent));
    });
  }

  // Both ends read with the same code; of each rule the first case shows that a child survives it as well.
  const isFirst = ([rule], index) => cases.findIndex(([other]) => other === rule) === index;
  for (const [index, [rule, name, listens]] of cases.filter(isFirst).entries()) {
    (index % 4 === 0 ? it : itInLong)(`ends the channel of its child (${name})`, async () => {
      const said = await breakChild(name, listens);
      if (said[0][0] === 'undelivered')
        assert.deepEqual(said.shift(), ['undelivered', 'mine', true]);
      else assert.match(name, /TAKEN|REFUSED/);
      const [[event, code, message], ...others] = said;
      assert.equal(event, 'error');
      assertError({ code, message }, rule);
      assert.deepEqual(others, [['disconnect'], ['clean']]);
    });
  }

  it('is told nothing about it', async () => {
    const { peer } = await breakParent('kind: kind 20', true);
    assert.deepEqual(peer.frames, ['HELLO', 'USER']);
  });

  it('costs a parent that listens for no error a process warning', async () => {
    const { child, peer } = forkRawPeer({ script, args });
    const printing = process.listeners('warning');
    process.removeAllListeners('warning');
    const warned = once(process, 'warning');
    const events = [];
    child.on('disconnect', () => events.push('disconnect')); // once() would listen for 'error'
    peer.tell('break', { case: 'kind: kind 20' });
    const [{ name, code, message }] = await warned;
    for (const listener of printing) process.on('warning', listener);
    assert.equal(name, 'ForkwireWarning');
    assert.equal(code, 'ERR_FORKWIRE_PROTOCOL');
    assert.match(message, /: unknown \(20\) frame at byte 48: kind$/);
    await peer.leave();
    assert.deepEqual(events, ['disconnect']);
  });

  it('is named by the kind of its frame and its place in the stream', async () => {
    const { events } = await breakParent('limit: a USER limit that falls', true);
    const error = events.find(([event]) => event === 'error')[1];
    assert.match(error.message, /: CREDIT frame at byte 48: limit$/);
  });
});

describe('a body that does not decode', () => {
  const bodies = [
    { encoding: 1, hex: '7b', what: 'JSON that is cut off' },
    { encoding: 1, hex: '', what: 'no JSON at all' },
    { encoding: 5, hex: '0f', what: 'a value of no known version of V8' },
    { encoding: 5, hex: 'ff0f6f', what: 'a V8 value that is cut off' },
  ];
  for (const { encoding, hex, what } of some(bodies, 0, 3)) {
    it(`ends the channel: ${what}`, async () => {
      const { child, peer } = forkRawPeer({ serialization: 'advanced' });
      const messages = [];
      child.on('message', (message) => messages.push(message));
      const failed = once(child, 'error');
      peer.tell('message', { value: 'before' });
      peer.tell('frame', { kind: 'USER', encoding, hex });
      peer.tell('message', { value: 'behind' });
      const [error] = await failed;
      assert.equal(error.code, 'ERR_FORKWIRE_BAD_MESSAGE');
      assert.ok(error.cause instanceof Error);
      await peer.sees('eof');
      await peer.leave();
      assert.deepEqual(messages, ['before']);
    });
  }

  /** The USER frame of a JSON text, in hex. */
  function frameOf(text) {
    const header = Buffer.alloc(16);
    header.writeUInt32LE(text.length);
    header[4] = 3;
    header[6] = 1;
    return Buffer.concat([header, Buffer.from(text)]).toString('hex');
  }

  // Small texts that are read together are joined and parsed at once.
  const broken = [
    ['[1', '2],3'],
    ['{"a":1', '"b":2},3'],
    ['"a', 'b",3'],
    ['{"a":[{"b":"]}"}', '{"c":2}]},{"d":"{["}'],
    ['1,2', ''],
  ];
  for (const texts of some(broken, 3, 4)) {
    it(`ends the channel: ${texts.join(' and ')}, broken though they join to whole ones`, async () => {
      const { child, peer } = forkRawPeer();
      const messages = [];
      child.on('message', (message) => messages.push(message));
      const failed = once(child, 'error');
      peer.tell('bytes', { hex: ['"before"', ...texts].map(frameOf).join('') });
      const [error] = await failed;
      assert.equal(error.code, 'ERR_FORKWIRE_BAD_MESSAGE');
      await peer.leave();
      assert.deepEqual(messages, ['before']);
    });
  }
});
