'use strict';

// Every attack of test/fixtures/hostile_peer.py, on a parent and on a child: it costs that channel, or nothing; never
// the process, a descriptor, or memory beyond the limits. The long form has each on both, in both serializations.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { attackChild } = require('../helpers/attack');
const { fixture } = require('../helpers/fork-fixture');
const { isLong } = require('../helpers/scale');
const { fork } = require('../..');

const HOSTILE_PEER = fixture('hostile_peer.py');
const AT_ONCE = 4; // processes start slowly

// FORKWIRE_TEST_CHANNEL=native,node
const WIRES = (process.env.FORKWIRE_TEST_CHANNEL ?? 'native').split(',');

const ALL = JSON.parse(
  execFileSync(python(), [...QUICK, HOSTILE_PEER, 'list'], { encoding: 'utf8' }),
);

/** What ends a channel, by wire, with what the error says; all others leave it as it was. */
const ENDING = {
  native: {
    'bad-payload': /^A message of the peer cannot be decoded: /,
    'empty-payload': /^A message of the peer cannot be decoded: /,
    'cut-off-payload': /^A message of the peer cannot be decoded: /,
    'length-of-4-gib': /: USER frame at byte 48: size$/,
    'endless-message': /^A message of the peer is larger than /,
    'handle-without-descriptor': /: BATCH frame at byte 48: batch$/,
    'descriptor-on-a-message': /: BATCH frame at byte \d+: batch$/,
    'descriptors-in-masses': /: BATCH frame at byte \d+: batch$/,
  },
  node: {
    'bad-payload': /./,
    'empty-payload': /./,
    'cut-off-payload': /./,
    'length-of-4-gib': /./,
    'endless-message': /./,
  },
};

/** Runs `check` for all of them, some at once; says which one failed. */
async function forAll(names, check) {
  for (let i = 0; i < names.length; i += AT_ONCE) {
    const some = names.slice(i, i + AT_ONCE).map((name) =>
      check(name).catch((error) => {
        error.message = `${name}: ${error.message}`;
        throw error;
      }),
    );
    await Promise.all(some);
  }
}

/** { errors, messages, handles } of a child that does that. */
async function attackHere(name, options) {
  const child = fork(HOSTILE_PEER, ['child', name], {
    execPath: python(),
    execArgv: QUICK,
    stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    maxMessageSize: 1 << 20,
    ...options,
  });
  const seen = { errors: [], messages: [], handles: 0 };
  child.on('error', (error) => seen.errors.push(error));
  child.on('message', (message, handle) => {
    seen.messages.push(message);
    if (handle !== undefined) seen.handles++;
    (handle?.destroy ?? handle?.close)?.call(handle);
    if (message === 'done') child.disconnect();
  });
  await new Promise((resolve) => child.once('disconnect', resolve)); // once() takes an 'error' for the end
  child.stdin.end();
  if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
  return seen;
}

function assertRight(name, channel, { errors, messages, handles }) {
  const ending = ENDING[channel][name];
  if (name === 'leaked-copy') return; // it says nothing
  if (ending === undefined) {
    assert.deepEqual(errors, []);
    assert.equal(messages.at(-1), 'done');
    // To Node's wire a copy of the channel is a net.Socket as any other; all others lie about theirs. On the native wire
    // a message that names a type is an internal one, which nobody listens to: its socket is refused.
    const isHonest = channel === 'node' && name === 'the-channel-itself';
    assert.equal(handles, isHonest ? 1 : 0);
    return;
  }
  assert.equal(errors.length, 1);
  assert.match(errors[0].message, ending);
  assert.ok(!messages.includes('done'));
}

for (const channel of WIRES) {
  describe(`an attack on a channel [${channel}]`, () => {
    // A parent that dies, as in 'leaked-copy', takes its child's stdout along.
    const others = ALL.filter((name) => name !== 'leaked-copy');

    const isEven = (_, index) => index % 2 === 0;
    const onParent = isLong ? ALL : ALL.filter(isEven);
    const onChild = isLong ? others : others.filter((name) => !onParent.includes(name));

    for (const serialization of isLong ? ['json', 'advanced'] : ['json']) {
      it(`costs a parent at most that channel, ${serialization} (${onParent.length} attacks)`, () =>
        forAll(onParent, async (name) => {
          assertRight(name, channel, await attackHere(name, { channel, serialization }));
        }));
    }

    for (const serialization of isLong ? ['json', 'advanced'] : ['advanced']) {
      it(`costs a child at most that channel, ${serialization} (${onChild.length} attacks)`, () =>
        forAll(onChild, async (name) => {
          const seen = await attackChild(name, { channel, serialization });
          assert.deepEqual(seen.left, []);
          const { isDone, errors } = seen;
          assert.equal(isDone, ENDING[channel][name] === undefined);
          assert.equal(errors.length, isDone ? 0 : 1);
        }));
    }
  });
}
