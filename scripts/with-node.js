'use strict';

// Runs another version of Node, fetched from npm once:
//   node scripts/with-node.js 24 -- script.js arguments

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { nodeOf } = require('./lib/releases.js');
const { BuildError, runMain } = require('./lib/say.js');

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
