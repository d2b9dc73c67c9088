'use strict';

// Which forks use forkwire's own wire; the others use that of stock Node.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { exited, nextMessage } = require('../helpers/events');
const { fixture } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { itInLong, some } = require('../helpers/scale');
const { fork, isStock } = require('../helpers/subject');

const ECHO = fixture('echo.js');

const stdio = (slot) => {
  const list = ['ignore', 'inherit', 'inherit'];
  list[slot] = 'ipc';
  return Array.from(list, (entry) => entry ?? 'ignore');
};

/** Forks echo.js, sees that messages go both ways, and gives the protocol. */
async function protocolOf(options, args = []) {
  const child = fork(ECHO, args, options);
  const { protocol } = child.channel;
  const answer = nextMessage(child);
  child.send({ text: 'hello' });
  assert.deepEqual(await answer, { text: 'hello' });
  child.disconnect();
  await exited(child);
  return protocol;
}

const known = (option) => process.allowedNodeEnvironmentFlags.has(option);
const permission = known('--permission') ? '--permission' : '--experimental-permission';

(isStock ? describe.skip : describe)("a child's channel", () => {
  let folder;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  function program(name, lines) {
    const file = path.join(folder, name);
    fs.writeFileSync(file, lines.join('\n'), { mode: 0o755 });
    return file;
  }

  describe('is native', () => {
    const cases = {
      'by default': [{}],
      "with 'ipc' at index 5": [{ stdio: stdio(5) }],
      'with harmless execArgv': [{ execArgv: ['--no-warnings', '--max-old-space-size=200'] }],
      'with harmless NODE_OPTIONS': [{ env: { NODE_OPTIONS: '--no-warnings' } }],
      'with arguments of the script that look like options of Node': [
        {},
        ['--watch', '--permission', 'inspect'],
      ],
      'when found in PATH': [
        { execPath: 'node', env: { PATH: path.dirname(fs.realpathSync(process.execPath)) } },
      ],
      'when detached': [{ detached: true }],
      'in another folder': [{ cwd: '/' }],
      'when asked for': [{ channel: 'native' }],
    };
    const inShort = ['by default', "with 'ipc' at index 5", 'when found in PATH', 'when detached'];
    for (const [how, args] of Object.entries(cases)) {
      (inShort.includes(how) ? it : itInLong)(how, async () => {
        assert.equal(await protocolOf(...args), 'native');
      });
    }

    it('when execPath is a link to this Node, also a relative one', async () => {
      fs.symlinkSync(process.execPath, path.join(folder, 'link'));
      assert.equal(await protocolOf({ execPath: path.join(folder, 'link') }), 'native');
      assert.equal(await protocolOf({ execPath: './link', cwd: folder }), 'native');
    });

    it('when it is detached and its parent is gone before it runs', async () => {
      const body = () => {
        const { forkFunction } = require('../helpers/fork-fixture');
        forkFunction({ detached: true }, () => {
          console.log(process.channel.protocol);
          process.on('disconnect', () => console.log('disconnect'));
        });
        process.kill(process.pid, 'SIGKILL');
      };
      const { signal, stdout, stderr } = await runFunction(body);
      assert.equal(signal, 'SIGKILL');
      assert.equal(stderr, '');
      assert.equal(stdout, 'native\ndisconnect\n');
    });

    it('when the program is a wrapper, if asked for', async () => {
      const execPath = program('wrapper', ['#!/bin/sh', `exec "${process.execPath}" "$@"`]);
      assert.equal(await protocolOf({ execPath, channel: 'native' }), 'native');
    });
  });

  describe("is on stock Node's wire", () => {
    const cases = {
      "with 'ipc' at index 0": [{ stdio: stdio(0) }],
      "with 'ipc' at index 1": [{ stdio: stdio(1) }],
      "with 'ipc' at index 2": [{ stdio: stdio(2) }],
      'with a uid': [{ uid: process.getuid() }],
      'with a gid': [{ gid: process.getgid() }],
      'when asked for': [{ channel: 'node' }],
      'with --no-addons': [{ execArgv: ['--no-addons'] }],
      'with --no-addons in NODE_OPTIONS': [{ env: { NODE_OPTIONS: '--no-warnings --no-addons' } }],
      'with --env-file': [{ execArgv: ['--env-file=/dev/null'] }],
      'with permissions': [{ execArgv: [permission, '--allow-fs-read=*'], silent: true }],
    };
    // Which options choose it is asked without a child in unit/wire-choice.
    for (const [how, args] of some(Object.entries(cases), 0, 3, 5, 7, 9)) {
      it(how, async () => {
        assert.equal(await protocolOf(...args), 'node');
      });
    }

    const withValue = {
      '--title': 'script.js',
      '--disable-warning': 'DEP0001',
      '--max-http-header-size': '8192',
      '--conditions': 'custom',
    };
    const knownHere = Object.entries(withValue).filter(([name]) => known(name));
    for (const [option, value] of some(knownHere, 0)) {
      it(`with --no-addons behind ${option} ${value}`, async () => {
        assert.equal(await protocolOf({ execArgv: [option, value, '--no-addons'] }), 'node');
      });
    }

    it('when the program is another, such as a wrapper', async () => {
      const execPath = program('wrapper', ['#!/bin/sh', `exec "${process.execPath}" "$@"`]);
      assert.equal(await protocolOf({ execPath }), 'node');
    });

    it('when PATH finds another', async () => {
      program('node', ['#!/bin/sh', `exec "${process.execPath}" "$@"`]);
      const PATH = [folder, path.dirname(process.execPath)].join(':');
      assert.equal(await protocolOf({ execPath: 'node', env: { PATH } }), 'node');
    });

    it('with --watch, whose relay still works', async () => {
      const child = fork(ECHO, [], { execArgv: ['--watch'], silent: true });
      assert.equal(child.channel.protocol, 'node');
      child.stdout.resume();
      const answer = nextMessage(child);
      child.send('hello');
      // Newer versions relay messages of their own as well.
      let message = await answer;
      while (message !== 'hello') message = await nextMessage(child);
      child.kill();
      await once(child, 'close');
    });
  });

  itInLong(
    'is native for a copy of this Node, and not when the copy has capabilities',
    async function () {
      const execPath = path.join(folder, 'copy');
      fs.copyFileSync(process.execPath, execPath);
      assert.equal(await protocolOf({ execPath }), 'native');
      try {
        // cap_net_bind_service, permitted and effective, version 2.
        const code = `import os, sys; os.setxattr(sys.argv[1], 'security.capability',
        bytes.fromhex('0100000200040000000000000000000000000000'))`;
        execFileSync('python3', ['-c', code, execPath], { stdio: 'ignore' });
      } catch {
        this.skip(); // only root may, and only where the file system can
      }
      assert.equal(await protocolOf({ execPath }), 'node');
    },
  );

  it('is not native for a file that is no Node, and it is left to Node to fail', async () => {
    const execPath = path.join(folder, 'broken');
    fs.writeFileSync(execPath, 'no program', { mode: 0o755 });
    const child = fork(ECHO, [], { execPath, silent: true });
    assert.equal(child.channel.protocol, 'node');
    // execvp() hands such a file to a shell, which does not find "no".
    const [codeOrError] = await Promise.race([once(child, 'error'), once(child, 'exit')]);
    assert.notEqual(codeOrError, 0);
    if (child.connected) await once(child, 'disconnect');
  });

  it('must be one of two when it is given', () => {
    for (const channel of ['stock', '', null, 1, true]) {
      assert.throws(() => fork(ECHO, [], { channel }), {
        code: 'ERR_INVALID_ARG_VALUE',
        name: 'TypeError',
        message: /^The property 'options\.channel' must be one of: undefined, 'native', 'node'/,
      });
    }
  });
});
