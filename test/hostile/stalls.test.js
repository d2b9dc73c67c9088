'use strict';

// Descriptors whose close() or fstat() takes as long as the peer likes: the event loop of a parent goes on meanwhile.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { fixture } = require('../helpers/fork-fixture');
const { some } = require('../helpers/scale');
const { fork } = require('../..');

const PEER = fixture('stalling_peer.py');

// A peer holds its parent up for 20 seconds, or as long as it lives; other tests may run beside.
const LONGEST_MS = 1000;

const probe = spawnSync(python(), [...QUICK, fixture('fuse.py')], { encoding: 'utf8' });
const itWithFuse = probe.status === 0 ? it : it.skip;
const unlessFuse = probe.status === 0 ? '' : ` (no FUSE here: ${probe.stdout.trim()})`;

/** Runs the peer, and gives { longest, errors, messages }: how long the loop stood, in ms. */
async function attack(name, channel, untrusted) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const child = fork(PEER, ['child', name], {
    execPath: python(),
    execArgv: QUICK,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    channel,
    untrusted,
  });
  const seen = { errors: [], messages: [] };
  child.on('error', ({ message }) => seen.errors.push(message));
  child.on('message', (message, handle) => {
    seen.messages.push(message);
    handle?.destroy();
    if (message === 'done') child.disconnect();
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve) => child.once('spawn', resolve)); // starting it is not what is measured
  delay.enable();
  await new Promise((resolve) => child.once('disconnect', resolve));
  await exited;
  await new Promise(setImmediate); // what was closed behind it
  delay.disable();
  seen.longest = delay.max / 1e6;
  return seen;
}

const CASES = {
  delivered: [it, 'a socket with SO_LINGER that its listener destroys'],
  refused: [it, 'a socket with SO_LINGER that is refused'],
  unannounced: [it, 'a socket with SO_LINGER that no message asked for'],
  'behind-what-ends-the-channel': [
    it,
    'sockets with SO_LINGER that are unread when the channel ends',
  ],
  'file-as-socket': [itWithFuse, 'a file that answers nothing, declared as a socket'],
  'file-unannounced': [itWithFuse, 'a file that answers nothing, and that no message asked for'],
  'file-many-times': [itWithFuse, 'such a file two hundred times'],
};

for (const channel of ['native', 'node']) {
  describe(`the event loop of a parent goes on [${channel}]`, function () {
    this.timeout(60_000);

    for (const [name, [run, what]] of Object.entries(CASES)) {
      const trusts = channel === 'native' ? [false, true] : [false];
      for (const untrusted of some(trusts, -1)) {
        const title = `with ${what}${untrusted ? ', untrusted' : ''}`;
        run(`${title}${run === itWithFuse ? unlessFuse : ''}`, async () => {
          const { longest, errors } = await attack(name, channel, untrusted);
          assert.ok(longest < LONGEST_MS, `it stood for ${longest} ms`);
          if (name === 'file-many-times' && channel === 'native')
            assert.match(errors[0], /closing$/);
        });
      }
    }
  });
}
