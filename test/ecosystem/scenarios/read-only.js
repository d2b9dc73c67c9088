'use strict';

// As in a container: a read-only root, no /proc, no user but root. An unchanged program does there what it does on stock.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const PROGRAM = `${__dirname}/read-only-app.js`;

/** A root that cannot be written, with /dev of this one and nothing in /proc; `$1` is an empty folder. */
const ENTER = `
  mount --make-rprivate / && mount --bind / "$1" && mount --bind /dev "$1/dev" &&
  mount -o remount,ro,bind "$1" && root=$1 && shift && exec chroot "$root" "$@"`;

function runInside(args) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-root-'));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const command = ['-m', 'sh', '-c', ENTER, 'sh', root, process.execPath, ...args, PROGRAM];
  const result = spawnSync('unshare', command, { encoding: 'utf8', env });
  fs.rmdirSync(root);
  return result;
}

const register = process.execArgv[process.execArgv.indexOf('--require') + 1];
const stock = runInside([]);
const ours = runInside(['--require', register]);
assert.equal(stock.status, 0, stock.stderr);
assert.deepEqual([ours.status, ours.stderr], [0, stock.stderr]);
const [, ...said] = ours.stdout.trimEnd().split('\n');
assert.deepEqual(said, stock.stdout.trimEnd().split('\n').slice(1));
assert.match(ours.stdout, /^native\n/);
console.log(`all passed: ${said.join(', ')}`);
