'use strict';

// The binary for arm64 with glibc, under emulation: real processes, real sockets, a real Node for arm64.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { run } = require('../../helpers/run');
const { nodeOf, npmOf } = require('../../../scripts/lib/releases.js');
const { PROGRAMS, copyPrograms } = require('../programs');
const { makeProject, pack } = require('../tarball');

const EMULATE = path.join(__dirname, 'binfmt.sh');
const VERSION = '24';

describe(`the package on Node ${VERSION} for arm64, emulated`, function () {
  this.timeout(300_000);

  let folder;
  let node;

  before(async function () {
    this.timeout(1_800_000); // the first run on a machine fetches zig and Node
    const host = { platform: 'linux', arch: 'arm64' };
    node = process.arch === 'arm64' ? nodeOf(VERSION) : nodeOf(VERSION, host);
    const project = makeProject(nodeOf(VERSION), npmOf('11'));
    folder = project.folder;
    copyPrograms(folder);
    const { stderr } = await project.npm('install', pack().file);
    assert.equal(stderr, '');
  });

  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  for (const [name, [nodeArgs, expected]] of Object.entries(PROGRAMS)) {
    it(`runs ${name}`, async () => {
      const args = [EMULATE, node, ...nodeArgs, name];
      const { stdout, stderr } = await run('bash', args, { cwd: folder });
      assert.equal(stderr, '');
      assert.equal(stdout, expected);
    });
  }
});
