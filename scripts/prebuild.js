'use strict';

// Builds the binaries that the package brings, prebuilds/<platform>[musl]-<arch>.node, for all targets or for those
// that are named: node scripts/prebuild.js linux-x64

const fs = require('node:fs');
const path = require('node:path');
const { findHeaders } = require('./lib/headers.js');
const { runNodeGyp } = require('./lib/node-gyp.js');
const { BuildError, listOf, runMain, say } = require('./lib/say.js');
const { binaryOf, copyStage, isFresh, markBuilt } = require('./lib/stage.js');
const TARGETS = require('./prebuild/targets.json');
const { environmentFor, fetchZig } = require('./prebuild/toolchain.js');

const ROOT = path.join(__dirname, '..');
const ZIG_FOLDER = path.join(ROOT, 'build/zig');

// The oldest Node that is supported: what compiles with its headers runs on all of them.
const HEADERS = '20.19.0';

function compile(target, folder, zig) {
  const env = { ...process.env, ...environmentFor(target, zig, ROOT) };
  const nodedir = findHeaders({ version: HEADERS });
  const args = [
    'configure',
    'build',
    `--nodedir=${nodedir}`,
    `--arch=${target.arch}`,
    '--zig=1',
    '--jobs=max',
    '--loglevel=warn',
    '--silent',
  ];
  if (!runNodeGyp(args, { env, execPath: process.execPath, cwd: folder })) {
    throw new BuildError(`the binary for ${target.name} was not built, see above.`);
  }
}

function prebuild(target) {
  const folder = copyStage(ROOT, `prebuild/${target.name}`);
  const result = path.join(ROOT, `prebuilds/${target.name}.node`);
  if (!isFresh(folder)) {
    const startedAt = new Date();
    compile(target, folder, fetchZig(ZIG_FOLDER));
    markBuilt(folder, startedAt);
  }
  fs.mkdirSync(path.dirname(result), { recursive: true });
  fs.copyFileSync(binaryOf(folder), result);
  fs.chmodSync(result, 0o644); // as npm packs it
  say(`built ${path.relative(ROOT, result)}`);
}

function wantedTargets(names) {
  const known = TARGETS.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new BuildError(`no such target: ${listOf(unknown)}; there are ${listOf(known)}.`);
  }
  return TARGETS.filter(({ name }) => names.length === 0 || names.includes(name));
}

function main() {
  for (const target of wantedTargets(process.argv.slice(2))) prebuild(target);
}

runMain(main);
