'use strict';

// Builds and loads test/channel: the core's channel without lib/ and src/binding/.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { runNodeGyp } = require('../../scripts/lib/node-gyp.js');

const ROOT = path.join(__dirname, '../..');
const STAGE = path.join(ROOT, 'build/channel-test');
const BINARY = path.join(STAGE, 'build/Release/channel_test.node');
const SOURCES = {
  src: 'src',
  'test/channel/binding.gyp': 'binding.gyp',
  'test/channel/channel_addon.c': 'channel_addon.c',
};

/** Times are kept, so that make compiles only what changed. */
function copySources() {
  fs.rmSync(path.join(STAGE, 'src'), { recursive: true, force: true });
  for (const [from, to] of Object.entries(SOURCES)) {
    const options = { recursive: true, preserveTimestamps: true };
    fs.cpSync(path.join(ROOT, from), path.join(STAGE, to), options);
  }
}

/** The addon's functions; see test/channel/channel_addon.c. */
function loadChannelAddon() {
  copySources();
  const script = path.join(ROOT, 'scripts/build.js');
  const nodedir = execFileSync(process.execPath, [script, '--print-nodedir'], { encoding: 'utf8' });
  const args = [
    'configure',
    'build',
    `--nodedir=${nodedir.trim()}`,
    '--loglevel=silent',
    '--silent',
  ];
  const isBuilt = runNodeGyp(args, { env: process.env, execPath: process.execPath, cwd: STAGE });
  if (!isBuilt) throw new Error('test/channel does not build');
  return require(BINARY);
}

module.exports = { loadChannelAddon };
