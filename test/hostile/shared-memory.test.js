'use strict';

// Shared memory that a peer offers: none where it was not agreed on, and never more than the limits say.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const { QUICK, forkRawPeer, python, startRawParent } = require('../fixtures/protocol-peer');
const { fixture } = require('../helpers/fork-fixture');
const { functionArgs } = require('../helpers/run');
const { itInTurn } = require('../helpers/scale');
const { itWith } = require('../helpers/subject');
const { fork } = require('../..');

const MIB = 1 << 20;
const script = fixture('protocol-violations.py');
const args = ['--quiet'];

/** Frames of the features. The peer says that it has segments and slots. */
const FRAMES = ['SEGMENT', 'SLOT', 'MAPPED', 'SEEN', 'RELEASED', 'UNMAP', 'FINISHING', 'message'];

const mapsOf = (pid) =>
  fs
    .readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .filter((line) => line.includes('memfd:evil'));

/** Bytes of shared memory that this process has. */
function sharedMemory() {
  const [, kilobytes] = /^RssShmem:\s+(\d+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'));
  return Number(kilobytes) * 1024;
}

/** In the child that the raw peer started. */
function victim() {
  const fs = require('node:fs');
  const say = (...what) => fs.writeSync(1, `${JSON.stringify(what)}\n`);
  const isEvil = (line) => line.includes('memfd:evil');
  process.on('error', ({ message }) => {
    const maps = fs.readFileSync('/proc/self/maps', 'utf8').split('\n').filter(isEvil);
    say(message, maps.length);
  });
  process.on('message', (message) => say('message', message));
}

describe('shared memory that was not agreed on', () => {
  for (const [index, what] of FRAMES.entries()) {
    const [itInParent, itInChild] = [itInTurn(index % 2, 2), itInTurn((index + 1) % 2, 2)];
    itInParent(`ends the channel of a parent that does not trust its child: ${what}`, async () => {
      const { child, peer } = forkRawPeer({ script, args, untrusted: true });
      const messages = [];
      child.on('message', (message) => messages.push(message));
      const failed = once(child, 'error');
      peer.tell('use_unasked', { what });
      const [{ code, message }] = await failed;
      assert.equal(code, 'ERR_FORKWIRE_PROTOCOL');
      assert.match(message, /: feature$/);
      assert.deepEqual(mapsOf(process.pid), []);
      assert.deepEqual(messages, []);
      await peer.leave();
    });

    itInChild(`ends the channel of a child that does without: ${what}`, async () => {
      const env = ['--env', 'FORKWIRE_DISABLE=segments,slots'];
      const told = ['--channel', ':low-latency=1'];
      const peer = startRawParent(functionArgs(victim), {
        script,
        args: [...args, ...env, ...told],
      });
      peer.tell('use_unasked', { what });
      const { line } = await peer.sees('output');
      const [message, count] = JSON.parse(line);
      assert.match(message, /: feature$/);
      assert.equal(count, 0);
      await peer.leave();
    });
  }
});

describe('shared memory with holes', () => {
  /** What a child with that many of them says and sends, and how much shared memory this process then has. */
  async function offered(what, count, options) {
    const child = fork(fixture('segment_peer.py'), ['child', what, String(count)], {
      execPath: python(),
      execArgv: QUICK,
      channel: 'native',
      ...options,
    });
    const before = sharedMemory();
    let n = 0;
    const said = await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('message', (message) => {
        if (typeof message === 'string') n++;
        else resolve({ ...message, n, grown: sharedMemory() - before });
      });
    });
    child.disconnect();
    await once(child, 'exit');
    return said;
  }

  itWith('segments')('is refused', async () => {
    const { nMapped, n, grown } = await offered('holes', 240);
    assert.deepEqual({ nMapped, n }, { nMapped: 0, n: 0 });
    assert.ok(grown < MIB, `${grown}`);
  });

  itWith('segments')(
    'that come behind the offer cost no more than maxMessageSize and one credit',
    async () => {
      const limits = { maxMessageSize: 4 * MIB, credit: { bytes: 5 * MIB } };
      const { nMapped, n, grown } = await offered('punched', 240, limits);
      assert.deepEqual({ nMapped, n }, { nMapped: 4, n: 4 });
      assert.ok(grown <= 9 * MIB, `${grown}`);
    },
  );
});
