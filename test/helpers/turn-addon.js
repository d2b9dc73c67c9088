'use strict';

// Builds test/turn, whose turn() has the event loop turn once.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');

const ROOT = path.join(__dirname, '../..');
const SOURCE = path.join(ROOT, 'test/turn/turn_addon.c');
const BINARY = path.join(ROOT, 'build/turn-test/turn.node');

/** The path of the addon, for require(). */
function buildTurnAddon() {
  const script = path.join(ROOT, 'scripts/build.js');
  const nodedir = execFileSync(process.execPath, [script, '--print-nodedir'], { encoding: 'utf8' });
  const include = path.join(nodedir.trim(), 'include/node');
  const flags = ['-shared', '-fPIC', '-Wall', '-Wextra', '-Werror', `-I${include}`];
  fs.mkdirSync(path.dirname(BINARY), { recursive: true });
  execFileSync(process.env.CC || 'cc', [...flags, SOURCE, '-o', BINARY], { stdio: 'inherit' });
  return BINARY;
}

module.exports = { buildTurnAddon };
