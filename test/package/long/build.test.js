'use strict';

// What takes a compiler: the binaries come out the same anywhere, and a package without one for its host can be built.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { run } = require('../../helpers/run');
const { npmOf } = require('../../../scripts/lib/releases.js');
const TARGETS = require('../../../scripts/prebuild/targets.json');
const { makeProject, pack } = require('../tarball');

const ROOT = path.join(__dirname, '../../..');
const COPIED = ['src', 'scripts', 'binding.gyp', 'package.json', 'node_modules/node-addon-api'];

/** Another checkout, with the same toolchain and development dependencies. */
function copyOfCheckout() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-elsewhere-'));
  for (const name of COPIED) {
    fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  }
  for (const name of fs.readdirSync(path.join(ROOT, 'node_modules'))) {
    if (name === 'node-addon-api') continue; // its path is compiled in, if any is
    fs.symlinkSync(path.join(ROOT, 'node_modules', name), path.join(folder, 'node_modules', name));
  }
  fs.mkdirSync(path.join(folder, 'build/zig'), { recursive: true });
  for (const name of ['zig/node_modules', 'zig/installed.json', 'headers']) {
    fs.symlinkSync(path.join(ROOT, 'build', name), path.join(folder, 'build', name));
  }
  return folder;
}

describe('npm run prebuild', function () {
  this.timeout(1_800_000);

  let folder;

  before(() => {
    pack();
    folder = copyOfCheckout();
  });

  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  for (const { name } of TARGETS) {
    it(`gives the same bytes for ${name} in another folder, with an empty cache`, async () => {
      const args = [path.join(folder, 'scripts/prebuild.js'), name];
      const { code, stderr } = await run(process.execPath, args, { cwd: folder });
      assert.equal(code, 0, stderr);
      const [ours, theirs] = [ROOT, folder].map((root) =>
        fs.readFileSync(path.join(root, 'prebuilds', `${name}.node`)),
      );
      assert.ok(ours.equals(theirs));
    });
  }

  it('knows its targets', async () => {
    const args = [path.join(ROOT, 'scripts/prebuild.js'), 'plan9-x64'];
    const { code, stderr } = await run(process.execPath, args);
    assert.equal(code, 1);
    assert.match(stderr, /^forkwire: no such target: plan9-x64; there are .*linux-x64.*\.\n$/);
  });
});

describe('a package without a binary for its host', function () {
  this.timeout(600_000);

  let project;

  before(async () => {
    project = makeProject(process.execPath, npmOf('11'));
    await project.npm('install', pack().file);
    fs.rmSync(path.join(project.folder, 'node_modules/forkwire/prebuilds'), { recursive: true });
  });

  after(() => fs.rmSync(project.folder, { recursive: true, force: true }));

  it('names the command that builds it, and that command works', async () => {
    const { stdout } = await project.node(
      '-e',
      "try { require('forkwire') } catch ({ code, message }) { console.log(code, message) }",
    );
    const [, command] = /^ERR_FORKWIRE_NO_BINARY .* To build it: (.+)\n$/.exec(stdout);
    const built = await run('bash', ['-c', command]);
    assert.equal(built.code, 0, built.stderr);
    const { stdout: loaded } = await project.node('-p', "typeof require('forkwire').fork");
    assert.equal(loaded, 'function\n');
  });
});
