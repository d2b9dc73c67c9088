'use strict';

// Who the peer is, the kernel says: what a HELLO says of its sender may be a lie, or mean another process in the sender's pid
// namespace.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { forkRawPeer } = require('../fixtures/protocol-peer');
const { exited, nextMessage, record } = require('../helpers/events');
const { fixture, forkFixture } = require('../helpers/fork-fixture');
const { itIsBetter, spawn } = require('../helpers/subject');
const { until } = require('../helpers/until');

/** A raw peer that says it is `pid`. */
async function forkLiar(pid) {
  const { child, peer } = forkRawPeer({ args: ['--quiet'] });
  peer.tell('hello', { pid });
  peer.tell('message', { value: 'up' });
  assert.equal(await nextMessage(child), 'up');
  return { child, peer };
}

async function startSibling() {
  const sibling = forkFixture('idle.js');
  await nextMessage(sibling);
  return sibling;
}

describe('a child that says in HELLO that it is its sibling', () => {
  itIsBetter('has its channel closed when it dies, though another process holds it', async () => {
    const sibling = await startSibling();
    const { child, peer } = await forkLiar(sibling.pid);
    const events = record(child, ['disconnect', 'exit', 'close']);
    peer.tell('die_haunting');
    await until(() => events.includes('exit'));
    await until(() => events.includes('disconnect'));
    child.stdin.end();
    await until(() => events.includes('close'));
    assert.deepEqual(events, ['disconnect', 'exit', 'close']);
    sibling.disconnect();
    await exited(sibling);
  });

  itIsBetter('stays connected when the sibling dies', async () => {
    const sibling = await startSibling();
    const { child, peer } = await forkLiar(sibling.pid);
    sibling.kill('SIGKILL');
    await exited(sibling);
    peer.tell('message', { value: 'still here' });
    assert.equal(await nextMessage(child), 'still here');
    assert.equal(child.connected, true);
    peer.tell('end');
    await once(child, 'disconnect');
    await peer.leave();
  });

  itIsBetter('is named as what it is in errors', async () => {
    const sibling = await startSibling();
    const { child, peer } = await forkLiar(sibling.pid);
    const failed = new Promise((resolve) => child.once('error', resolve));
    peer.tell('bytes', { hex: 'ff'.repeat(16) });
    const { code, pid } = await failed;
    assert.deepEqual([code, pid], ['ERR_FORKWIRE_PROTOCOL', child.pid]);
    await peer.leave();
    sibling.disconnect();
    await exited(sibling);
  });
});

function canUnshare() {
  try {
    execFileSync('unshare', ['-rpf', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('a peer in a pid namespace of its own', () => {
  itIsBetter(
    'goes on without the program that started it, and its death is seen',
    async function () {
      if (!canUnshare()) this.skip();
      const args = ['-rpf', process.execPath, fixture('echo.js')];
      const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
      const child = spawn('unshare', args, { stdio, channel: 'native' });
      const ask = (message) => {
        child.send(message);
        return nextMessage(child);
      };
      assert.equal(await ask('before'), 'before');
      const file = `/proc/${child.pid}/task/${child.pid}/children`;
      const inner = Number(fs.readFileSync(file, 'utf8'));
      child.kill('SIGKILL');
      await once(child, 'exit');
      assert.equal(await ask('behind'), 'behind');
      process.kill(inner, 'SIGKILL');
      await once(child, 'close');
      assert.equal(child.connected, false);
    },
  );
});
