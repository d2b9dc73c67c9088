'use strict';

// Builds addons of the tests, which are C and need nothing of node-gyp.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');

const ROOT = path.join(__dirname, '../..');
const FLAGS = ['-shared', '-fPIC', '-std=c11', '-D_GNU_SOURCE', '-DNAPI_VERSION=8'];
const WARNINGS = ['-Wall', '-Wextra', '-Werror'];

/**
 * Compiles test/<source> into build/<name>.node, for this Node. `inputs`: what it is linked with. Returns the path of the
 * binary, for require().
 */
function buildAddon(source, name, inputs = []) {
  const script = path.join(ROOT, 'scripts/build.js');
  const nodedir = execFileSync(process.execPath, [script, '--print-nodedir'], { encoding: 'utf8' });
  const include = path.join(nodedir.trim(), 'include/node');
  const binary = path.join(ROOT, `build/${name}.node`);
  fs.mkdirSync(path.dirname(binary), { recursive: true });
  const files = [path.join(ROOT, 'test', source), ...inputs.map((file) => path.join(ROOT, file))];
  const paths = ['-I', path.join(ROOT, 'src'), '-isystem', include];
  const args = [...FLAGS, ...WARNINGS, ...paths, ...files, '-o', binary];
  execFileSync(process.env.CC || 'cc', args, { stdio: 'inherit' });
  return binary;
}

module.exports = { buildAddon };
