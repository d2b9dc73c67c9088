'use strict';

// The tarball as it would be published, and folders in which it is installed.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { run } = require('../helpers/run');
const { npmOf } = require('../../scripts/lib/releases.js');

const ROOT = path.join(__dirname, '../..');
const FOLDER = path.join(ROOT, 'build/package');

let packed = null;

/** Builds what is missing in prebuilds/ and packs: { file, size in bytes, names }. Once a run. */
function pack() {
  packed ??= packNow();
  return packed;
}

function packNow() {
  execFileSync(process.execPath, [path.join(ROOT, 'scripts/prebuild.js')], { stdio: 'pipe' });
  fs.rmSync(FOLDER, { recursive: true, force: true });
  fs.mkdirSync(FOLDER, { recursive: true });
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', FOLDER];
  const text = execFileSync(process.execPath, [npmOf('11'), ...args], { cwd: ROOT, stdio: 'pipe' });
  const [{ filename, size, files }] = JSON.parse(text);
  return { file: path.join(FOLDER, filename), size, names: files.map(({ path: name }) => name) };
}

function emptyFolder() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-package-'));
}

/** A PATH with Node and npm and nothing else: no compiler, no shell. */
function onlyNode(folder, node, npm) {
  const bin = path.join(folder, '.bin');
  fs.mkdirSync(bin);
  fs.symlinkSync(node, path.join(bin, 'node'));
  fs.symlinkSync(npm, path.join(bin, 'npm'));
  return bin;
}

/**
 * An empty folder for `node` (a program) and `npm` (its script): { folder, npm(...args), node(...args) }, where the two run
 * with nothing else on PATH, without the network.
 */
function makeProject(node, npm) {
  const folder = emptyFolder();
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE|FORKWIRE_BINARY)/i.test(name),
  );
  const env = {
    ...Object.fromEntries(kept),
    PATH: onlyNode(folder, node, npm),
    npm_config_userconfig: path.join(folder, 'no-npmrc'),
    npm_config_globalconfig: path.join(folder, 'no-global-npmrc'),
    npm_config_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    npm_config_foreground_scripts: 'true',
  };
  const inFolder = (...args) => run(node, args, { cwd: folder, env });
  return { folder, node: inFolder, npm: (...args) => inFolder(npm, ...args) };
}

module.exports = { makeProject, pack };
