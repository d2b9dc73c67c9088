'use strict';

// Runs another version of Node, fetched from npm once:
//   node scripts/with-node.js 24 -- script.js arguments

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { fetchPackage, nodePackageName } = require('./lib/npm-package.js');
const { BuildError, runMain } = require('./lib/say.js');

const ROOT = path.join(__dirname, '..');

function nodeOf(version) {
  const folder = path.join(ROOT, 'build/nodes', version);
  const binary = path.join(folder, 'bin/node');
  if (!fs.existsSync(binary)) {
    const { env, execPath } = process;
    const spec = `${nodePackageName(process)}@${version}`;
    fetchPackage(spec, folder, ['bin/node', 'include'], { env, execPath, cwd: ROOT });
  }
  return binary;
}

function main() {
  const [version, ...rest] = process.argv.slice(2);
  if (!/^\d+(\.\d+){0,2}$/.test(version ?? '')) {
    throw new BuildError('usage: node scripts/with-node.js <version> -- <arguments of node>');
  }
  const binary = nodeOf(version);
  const search = [path.dirname(binary), process.env.PATH].join(path.delimiter);
  const result = spawnSync(binary, rest[0] === '--' ? rest.slice(1) : rest, {
    stdio: 'inherit',
    env: { ...process.env, PATH: search },
  });
  if (result.error) throw new BuildError(`${binary}: ${result.error.message}`);
  process.exitCode = result.status ?? 1;
}

runMain(main);
