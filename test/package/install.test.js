'use strict';

// What a user does: installs the tarball in an empty folder, and runs a program. No compiler, no network.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { nodeOf, npmOf } = require('../../scripts/lib/releases.js');
const { isLong } = require('../helpers/scale');
const { PROGRAMS, copyPrograms } = require('./programs');
const { makeProject, pack } = require('./tarball');

const SUPPORTED = [
  ['20', '11'],
  ['22', '11'],
  ['22', '12'],
  ['24', '11'],
  ['24', '12'],
  ['26', '11'],
  ['26', '12'],
  ['26', '12', '--ignore-scripts'],
];

/** In short the oldest and the newest. */
const CHOSEN = isLong ? SUPPORTED : [SUPPORTED[0], SUPPORTED.at(-2)];

// The child has its program on the command line as well.
const ONE_LINE = `
  const child = require('forkwire').fork('child', { execArgv: ['-e', \`
    process.on('message', (message, socket) => { socket.write('child '); process.send('back', socket); });
  \`] });
  child.on('message', (message, socket) => { socket.end('parent'); child.disconnect(); });
  const server = require('net').createServer((socket) => child.send('there', socket)).listen(0, () => {
    const client = require('net').connect(server.address().port);
    client.pipe(process.stdout);
    client.on('close', () => server.close());
  });`;

for (const [nodeVersion, npmVersion, ...flags] of CHOSEN) {
  describe(`the package, installed by npm ${[npmVersion, ...flags].join(' ')} on Node ${nodeVersion}`, () => {
    let project;

    before(async function () {
      this.test.parent.bail(true); // nothing works where nothing is installed
      this.timeout(600_000);
      project = makeProject(nodeOf(nodeVersion), npmOf(npmVersion));
      copyPrograms(project.folder);
      pack();
    });

    after(() => fs.rmSync(project.folder, { recursive: true, force: true }));

    it('installs without a script, a warning, or another package', async () => {
      const { code, stdout, stderr } = await project.npm('install', ...flags, pack().file);
      assert.equal(stderr, '');
      assert.match(stdout, /^\s*added 1 package in [\d.]+m?s\s*$/);
      assert.equal(code, 0);
    });

    it('passes a socket to a child and back in one line', async () => {
      const { stdout, stderr } = await project.node('-e', ONE_LINE);
      assert.equal(stderr, '');
      assert.equal(stdout, 'child parent');
    });

    for (const [name, [nodeArgs, expected]] of Object.entries(PROGRAMS)) {
      it(`runs ${name}`, async () => {
        const { stdout, stderr } = await project.node(...nodeArgs, name);
        assert.equal(stderr, '');
        assert.equal(stdout, expected);
      });
    }
  });
}
