'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { runFunction } = require('../helpers/run');

const ROOT = path.join(__dirname, '../..');

/** What loading it ends with, in a Node of its own that `prepare` made another host: [code, message, code of cause]. */
async function loadedAfter(prepare, env = {}) {
  const options = {
    env: { ...process.env, FORKWIRE_BINARY: '', ...env },
    with: [prepare.toString()],
  };
  const { stdout } = await runFunction(options, (source) => {
    require('node:vm').runInThisContext(`(${source})`)();
    try {
      require('../../lib/binding');
      console.log('[]');
    } catch ({ code, message, cause }) {
      console.log(JSON.stringify([code, message, cause?.code]));
    }
  });
  return JSON.parse(stdout);
}

describe('the binding', () => {
  it('is the addon that FORKWIRE_BINARY names', async () => {
    const own = path.join(ROOT, 'build/Release/forkwire.node');
    const env = { ...process.env, FORKWIRE_BINARY: process.env.FORKWIRE_BINARY || own };
    const { stdout } = await runFunction({ env }, () => {
      const binding = require('../../lib/binding');
      const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
      console.log(maps.includes(process.env.FORKWIRE_BINARY), typeof binding);
    });
    assert.equal(stdout, 'true object\n');
  });

  it('says where it looked when FORKWIRE_BINARY names nothing, and looks nowhere else', async () => {
    const env = { FORKWIRE_BINARY: '/nowhere/x.node' };
    const [code, message, cause] = await loadedAfter(() => {}, env);
    assert.equal(code, 'ERR_FORKWIRE_NO_BINARY');
    assert.match(message, /; tried \/nowhere\/x\.node\. FORKWIRE_BINARY names it: unset it, or/);
    assert.equal(cause, 'ERR_DLOPEN_FAILED');
  });

  it('says for which host it found none, where it looked, and the command that builds it', async () => {
    const [code, message] = await loadedAfter(() => {
      Object.defineProperty(process, 'arch', { value: 'mips' });
      const fs = require('node:fs');
      const { existsSync } = fs;
      fs.existsSync = (file) => !file.includes('build/Release') && existsSync(file);
    });
    assert.equal(code, 'ERR_FORKWIRE_NO_BINARY');
    assert.ok(message.includes(`${process.platform}-mips with glibc`), message);
    assert.ok(message.includes(path.join(ROOT, 'build/Release/forkwire.node')), message);
    assert.ok(message.includes(path.join(ROOT, 'prebuilds/linux-mips.node')), message);
    assert.ok(message.endsWith(`To build it: cd "${ROOT}" && npm install`), message);
  });

  it('knows musl by what is mapped', async () => {
    for (const mapped of ['/lib/ld-musl-x86_64.so.1', '/usr/lib/libc.so']) {
      const [, message] = await loadedAfter(
        new Function(`
          Object.defineProperty(process, 'arch', { value: 'mips' });
          const fs = require('node:fs');
          fs.existsSync = () => false;
          fs.readFileSync = ((read) => (file, ...args) =>
            file === '/proc/self/maps'
              ? '7f10-7f20 r--p 00000000 08:01 42    ${mapped}\\n7f30-7f40 rw-p 00000000 00:00 0\\n'
              : read(file, ...args))(fs.readFileSync);`),
      );
      assert.match(
        message,
        /for linux-mips with musl; .*prebuilds\/linuxmusl-mips\.node\./,
        mapped,
      );
    }
  });

  it('is refused under Bun before anything is loaded', async () => {
    const env = { FORKWIRE_BINARY: '/nowhere/x.node' };
    const [code, message] = await loadedAfter(() => {
      Object.defineProperty(process.versions, 'bun', { value: '1.3.0' });
    }, env);
    assert.equal(code, 'ERR_FORKWIRE_RUNTIME');
    assert.match(message, /Bun 1\.3\.0/);
  });

  it('is chosen without starting a program', () => {
    const text = require('node:fs').readFileSync(path.join(ROOT, 'lib/binding.js'), 'utf8');
    assert.doesNotMatch(text, /child_process|process\.report/);
  });
});
