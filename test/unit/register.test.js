'use strict';

const assert = require('node:assert/strict');
const { fixture } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');

const REGISTER = require.resolve('../../lib/register');

/** Runs `body` in a Node with the hook; its output as JSON. */
async function hooked(body) {
  const nodeArgs = ['--require', REGISTER];
  const { stdout, stderr, code } = await runFunction(
    { nodeArgs, with: [fixture('idle.js')] },
    body,
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  return JSON.parse(stdout);
}

describe('forkwire/register', () => {
  it("hooks Node's own fork() and spawn()", async () => {
    const protocols = await hooked((idle) => {
      const { fork, spawn } = require('node:child_process');
      const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
      const children = [fork(idle), spawn(process.execPath, [idle], { stdio })];
      console.log(JSON.stringify(children.map(({ channel }) => channel.protocol)));
      for (const child of children) child.disconnect();
    });
    assert.deepEqual(protocols, ['native', 'native']);
  });

  it('hooks once, however often it is loaded', async () => {
    const isSame = await hooked((idle) => {
      const { ChildProcess, fork } = require('node:child_process');
      fork(idle).disconnect();
      const { spawn } = ChildProcess.prototype;
      const file = require.resolve('../../lib/register');
      delete require.cache[file];
      require(file);
      console.log(JSON.stringify(ChildProcess.prototype.spawn === spawn));
    });
    assert.equal(isSame, true);
  });

  it('reaches the children of children', async () => {
    const protocol = await hooked(() => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(() => {
        const grandchild = require('node:child_process').fork(require.resolve('./idle.js'));
        process.send(String(grandchild.channel.protocol));
        grandchild.disconnect();
      });
      child.on('message', (message) => console.log(JSON.stringify(message)));
    });
    assert.equal(protocol, 'native');
  });
});
