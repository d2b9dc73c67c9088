'use strict';

const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const { once } = require('node:events');
const { fork, spawn } = require('../../lib/fork');
const { fixture } = require('../helpers/fork-fixture');

// What they do is in test/integration.

describe('fork() and spawn()', () => {
  it('take what their models take and give ChildProcess objects', async () => {
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
    const children = [
      fork(fixture('idle.js'), ['argument'], { env: {} }),
      spawn(process.execPath, [fixture('idle.js'), 'argument'], { stdio, env: {} }),
    ];
    for (const child of children) {
      assert.ok(child instanceof childProcess.ChildProcess);
      assert.equal(child.channel.protocol, 'native');
      assert.equal(child.spawnargs.at(-1), 'argument');
      child.disconnect();
      await once(child, 'close');
    }
  });

  it("throw Node's errors", () => {
    for (const start of [fork, spawn]) {
      assert.throws(() => start(), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => start('x', [], 5), { code: 'ERR_INVALID_ARG_TYPE' });
    }
  });

  it("leave Node's own functions alone", async () => {
    const child = childProcess.fork(fixture('idle.js'));
    assert.equal(child.channel.protocol, undefined);
    child.disconnect();
    await once(child, 'exit');
  });
});
