'use strict';

// Copies of the checkout, and scripts/build.js in them.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');
// What an install of Node's headers may need.
const KEPT = ['NODE_EXTRA_CA_CERTS', 'HTTPS_PROXY', 'https_proxy'];

function runBuild(checkout, args, env) {
  const kept = KEPT.filter((name) => process.env[name]).map((name) => [name, process.env[name]]);
  return spawnSync(process.execPath, ['scripts/build.js', ...args], {
    cwd: checkout,
    env: { ...Object.fromEntries(kept), ...env },
    encoding: 'utf8',
  });
}

function copyOfCheckout(folder) {
  const checkout = path.join(folder, 'checkout');
  for (const name of ['src', 'scripts', 'binding.gyp', 'package.json']) {
    fs.cpSync(path.join(ROOT, name), path.join(checkout, name), { recursive: true });
  }
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(checkout, 'node_modules'));
  return checkout;
}

/** A PATH on which there is Node and nothing else but links to `commands`. */
function pathWith(folder, commands) {
  const bin = path.join(folder, 'bin');
  fs.mkdirSync(bin);
  fs.symlinkSync(process.execPath, path.join(bin, 'node'));
  for (const [name, target] of Object.entries(commands)) {
    fs.symlinkSync(target, path.join(bin, name));
  }
  return bin;
}

module.exports = { copyOfCheckout, pathWith, runBuild };
