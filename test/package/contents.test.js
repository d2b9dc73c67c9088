'use strict';

// What is in the tarball: exactly this, and nothing of tests, benchmarks or the machine it was packed on.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { publint } = require('publint');
const { run } = require('../helpers/run');
const manifest = require('../../package.json');
const TARGETS = require('../../scripts/prebuild/targets.json');
const { pack } = require('./tarball');

const ROOT = path.join(__dirname, '../..');
const LIMIT = 1_500_000; // bytes

const BESIDE = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'binding.gyp',
  'docs/api.md',
  'docs/bundling.md',
  'package.json',
  'scripts/build.js',
  'scripts/lib/headers.js',
  'scripts/lib/node-gyp.js',
  'scripts/lib/npm-package.js',
  'scripts/lib/say.js',
  'scripts/lib/stage.js',
  'scripts/lib/toolchain.js',
];

const tracked = (...folders) =>
  execFileSync('git', ['ls-files', ...folders], { cwd: ROOT, encoding: 'utf8' })
    .trim()
    .split('\n');

const attw = (...args) =>
  run(process.execPath, [
    path.join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js'),
    ...args,
  ]);

describe('the tarball', () => {
  before(function () {
    this.timeout(600_000); // the first run on a machine fetches zig
    pack();
  });

  it('holds exactly the sources, the binaries of all targets, and what builds them', () => {
    const binaries = TARGETS.map(({ name }) => `prebuilds/${name}.node`);
    const expected = [...tracked('lib', 'src'), ...binaries, ...BESIDE];
    assert.deepEqual(pack().names.toSorted(), expected.toSorted());
  });

  it('is small', () => {
    const { size } = pack();
    assert.ok(size < LIMIT, `${size} bytes`);
  });

  it('runs nothing where it is installed, and brings nothing along', () => {
    const { scripts, gypfile, dependencies, optionalDependencies } = manifest;
    // `prepare` is one for a tarball or a git URL; only `postprepare` is for the checkout alone.
    const atInstall = ['preinstall', 'install', 'postinstall', 'prepare'];
    assert.deepEqual(
      Object.keys(scripts).filter((name) => atInstall.includes(name)),
      [],
    );
    assert.equal(gypfile, false); // else npm runs node-gyp, as there is a binding.gyp
    assert.deepEqual([dependencies, optionalDependencies], [undefined, undefined]);
  });

  it('has no script that npm would run before another by its name', () => {
    const { scripts } = manifest; // `npm run build` would run `prebuild` first
    const names = Object.keys(scripts);
    const hooks = names.filter(
      (name) => names.includes(name.replace(/^(pre|post)/, '')) && /^(pre|post)/.test(name),
    );
    assert.deepEqual(hooks, []);
  });

  it('satisfies publint', async () => {
    const tarball = fs.readFileSync(pack().file);
    const buffer = tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.length);
    const { messages } = await publint({ pack: { tarball: buffer }, strict: true });
    assert.deepEqual(messages, []);
  });

  it('has types that resolve, by require and by import', async function () {
    this.timeout(120_000);
    const { code, stdout } = await attw(
      pack().file,
      '--profile',
      'node16',
      '--no-color',
      '--no-emoji',
    );
    assert.equal(code, 0, stdout);
  });
});
