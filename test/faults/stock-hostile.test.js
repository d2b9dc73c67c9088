'use strict';

// What a buggy or hostile peer does to stock Node, row by row of the list in docs/guarantees.md: each of these tests
// fails on stock, where the process under attack dies, hangs, grows or keeps descriptors. It is a process of its own.

const assert = require('node:assert/strict');
const { attackChild, attackParent } = require('../helpers/attack');
const { runFunction } = require('../helpers/run');
const { itWithout, onEachWire } = require('../helpers/wires');

const MAX_GROWTH = 64; // MiB; of 200 that come

const BROKEN = /^ERR_FORKWIRE_(BAD_MESSAGE|PROTOCOL|MESSAGE_TOO_LARGE)$/;

function assertUnharmed({ left, grownBy, isHonestOk }) {
  assert.deepEqual(left, []);
  assert.ok(isHonestOk, 'another channel suffered');
  if (process.env.ASAN_OPTIONS === undefined)
    assert.ok(grownBy < MAX_GROWTH, `it grew by ${grownBy} MiB`);
}

/** The channel is over, and one error says why. */
function assertEnded(seen) {
  assertUnharmed(seen);
  assert.equal(seen.errors.length, 1);
  assert.match(seen.errors[0].code, BROKEN);
  assert.ok(seen.errors[0].hasPid);
  assert.equal(seen.isDone, false);
}

/** The channel goes on: what came behind the attack arrives. */
function assertGoesOn(seen) {
  assertUnharmed(seen);
  assert.deepEqual(seen.errors, []);
  assert.equal(seen.isDone, true);
}

/** Both may be right: descriptors where none belong break the native wire; stock's has no such rule. */
function assertClosedAtOnce(seen) {
  assertUnharmed(seen);
  assert.equal(seen.handles, 0);
  assert.equal(seen.isDone, seen.errors.length === 0);
}

const ROWS = [
  { row: 'bad JSON', attack: 'bad-payload', check: assertEnded },
  {
    row: 'a bad V8 payload',
    attack: 'cut-off-payload',
    check: assertEnded,
    options: { serialization: 'advanced' },
  },
  {
    row: 'a length of 4 GiB',
    attack: 'length-of-4-gib',
    check: assertEnded,
    options: { serialization: 'advanced', maxMessageSize: 1 << 20 },
  },
  {
    row: 'endless bytes without a newline',
    attack: 'endless-message',
    check: assertEnded,
    options: { maxMessageSize: 1 << 20 },
  },
  { row: 'an unsolicited NODE_HANDLE_ACK', attack: 'handle-ack', check: assertGoesOn },
  { row: 'an unsolicited NODE_HANDLE_NACK', attack: 'handle-nack', check: assertGoesOn },
  { row: 'an unknown handle type', attack: 'type-unknown', check: assertGoesOn },
  { row: 'a missing handle type', attack: 'type-missing', check: assertGoesOn },
  { row: 'a __proto__ handle type', attack: 'type-proto', check: assertGoesOn },
  { row: 'TCP declared as dgram', attack: 'tcp-as-dgram', check: assertGoesOn },
  { row: 'UDP as socket', attack: 'udp-as-socket', check: assertGoesOn },
  { row: 'a file as descriptor', attack: 'file', check: assertGoesOn },
  { row: 'a memfd as descriptor', attack: 'memfd', check: assertGoesOn },
  { row: '/dev/null as descriptor', attack: 'dev-null', check: assertGoesOn },
  {
    row: 'descriptors on plain messages',
    attack: 'descriptor-on-a-message',
    check: assertClosedAtOnce,
  },
  {
    row: '253 descriptors on each of 20 messages',
    attack: 'descriptors-in-masses',
    check: assertClosedAtOnce,
  },
];

onEachWire('stock faults, a hostile peer:', (channel) => {
  for (const { row, attack, check, options = {} } of ROWS) {
    it(row, async () => check(await attackParent(attack, { channel, ...options })));
  }

  it('an unsolicited NODE_HANDLE_ACK, in a child', async () => {
    assertGoesOn(await attackChild('handle-ack', { channel }));
  });

  it('a file as descriptor, in a child', async () => {
    assertGoesOn(await attackChild('file', { channel }));
  });

  it('bad JSON, in a child', async () => {
    assertEnded(await attackChild('bad-payload', { channel }));
  });

  const wrapper = 'another program may be a wrapper, whose death does not end the channel';
  itWithout(wrapper, channel, 'a leaked copy of the channel itself', async () => {
    const seen = await attackParent('leaked-copy', { channel });
    assertUnharmed(seen);
    assert.ok(seen.wasAlone, 'its end was noticed only when the copy was gone');
  });

  for (const cmd of ['NODE_HANDLE_ACK', 'NODE_HANDLE_NACK', 'NODE_HANDLE']) {
    const itself = 'a child of stock Node takes it for a word of the protocol';
    itWithout(itself, channel, `${cmd} through public send()`, async () => {
      const { code, stdout, stderr } = await runFunction({ with: [cmd, channel] }, (name, wire) => {
        const { forkFunction } = require('../helpers/fork-fixture');
        const options = { channel: wire, with: [name] };
        const child = forkFunction(options, (message) => {
          process.on('message', () => process.disconnect());
          process.send({ cmd: message, type: 'net.Socket' }, () => process.send('behind'));
        });
        child.on('message', (message) => {
          console.log(message);
          child.send({ cmd: name, type: '__proto__' }, () => child.send('end'));
        });
        child.on('exit', (exitCode, signal) => console.log(exitCode ?? signal));
      });
      assert.equal(stderr, '');
      assert.deepEqual([code, stdout], [0, 'behind\n0\n']);
    });
  }
});
