'use strict';

// Every attack of test/fixtures/hostile_peer.py, on a parent and on a child: it costs that channel, or nothing; never
// the process, a descriptor, or memory beyond the limits. The short form has each on one kind of parent, and some on a child;
// test/faults/attacks.test.js has the whole matrix.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { attackChild, forAll } = require('../helpers/attack');
const { fixture } = require('../helpers/fork-fixture');
const { OUTCOMES, assertOutcome } = require('../helpers/outcomes');
const { isLong } = require('../helpers/scale');
const { fork } = require('../..');

const HOSTILE_PEER = fixture('hostile_peer.py');
const ALL = Object.keys(OUTCOMES);

const PARENTS = [
  { channel: 'native' },
  { channel: 'node' },
  { channel: 'native', untrusted: true },
];

/** Those of a list that are tried in these surroundings. */
const inTurn = (list, place) =>
  isLong ? list : list.filter((_, index) => index % PARENTS.length === place);

/** What an attack on this process, as the parent, came to. */
async function attackHere(name, options) {
  const child = fork(HOSTILE_PEER, ['child', name], {
    execPath: python(),
    execArgv: QUICK,
    stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    maxMessageSize: 1 << 20,
    ...options,
  });
  const seen = { errors: [], messages: [], handles: 0, isDone: false };
  child.on('error', (error) => seen.errors.push(error));
  child.on('message', (message, handle) => {
    if (handle !== undefined) seen.handles++;
    (handle?.destroy ?? handle?.close)?.call(handle);
    if (message !== 'done') {
      seen.messages.push(message);
      return;
    }
    seen.isDone = true;
    child.disconnect();
  });
  await new Promise((resolve) => child.once('disconnect', resolve)); // once() takes an 'error' for the end
  child.stdin.end();
  if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
  return seen;
}

describe('an attack', () => {
  it('is in the table of what comes of it', () => {
    const list = execFileSync(python(), [...QUICK, HOSTILE_PEER, 'list'], { encoding: 'utf8' });
    assert.deepEqual(JSON.parse(list).sort(), [...ALL].sort());
  });

  for (const [place, options] of PARENTS.entries()) {
    const { channel, untrusted } = options;
    const who = untrusted ? 'a parent that does not trust its child' : 'a parent';
    const names = inTurn(ALL, place);
    it(`costs ${who} at most that channel [${channel}] (${names.length} attacks)`, () =>
      forAll(names, async (name) =>
        assertOutcome(name, 'parent', options, await attackHere(name, options)),
      ));
  }

  // A parent that dies, as in 'leaked-copy', takes its child's stdout along.
  const onChild = inTurn(
    ALL.filter((name) => name !== 'leaked-copy'),
    0,
  );

  it(`costs a child at most that channel [native] (${onChild.length} attacks)`, () =>
    forAll(onChild, async (name) => {
      const options = { channel: 'native', serialization: 'advanced' };
      assertOutcome(name, 'child', options, await attackChild(name, options));
    }));
});
