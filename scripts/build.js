'use strict';

// Builds the addon: `npm install` in a checkout runs this, and `npm test` to be sure that it is up to date.

const path = require('node:path');
const { parseArgs } = require('node:util');
const { findHeaders } = require('./lib/headers.js');
const { nodeGypScript, runNodeGyp } = require('./lib/node-gyp.js');
const { BuildError, runMain, say } = require('./lib/say.js');
const { binaryOf, copyStage, discard, isFresh, markBuilt } = require('./lib/stage.js');
const { findToolchain } = require('./lib/toolchain.js');

const ROOT = path.join(__dirname, '..');

const HELP = `node scripts/build.js [options]
  --force          build even if the binary is newer than the sources
  --werror         warnings are errors
  --sanitize       with AddressSanitizer and UBSan, into build/sanitize/build/Release
  --coverage       with counters for gcov, into build/coverage/build/Release
  --cc, --cxx      the compilers, as CC and CXX do
  --print-nodedir  only find Node's headers and print where they are
`;

const OPTIONS = {
  force: { type: 'boolean' },
  werror: { type: 'boolean' },
  sanitize: { type: 'boolean' },
  coverage: { type: 'boolean' },
  cc: { type: 'string' },
  cxx: { type: 'string' },
  'print-nodedir': { type: 'boolean' },
  help: { type: 'boolean' },
};

// Builds that stand beside the usual one.
const VARIANTS = ['sanitize', 'coverage'];

function compile(folder, options) {
  const env = { ...process.env };
  if (options.cc) env.CC = options.cc;
  if (options.cxx) env.CXX = options.cxx;
  nodeGypScript();
  Object.assign(env, findToolchain(env));
  const args = ['configure', 'build', `--nodedir=${findHeaders()}`, '--loglevel=warn'];
  if (options.force) discard(folder);
  if (options.werror) args.push('--werror=1');
  for (const variant of VARIANTS) if (options[variant]) args.push(`--${variant}=1`);
  if (!env.npm_config_jobs) args.push('--jobs=max');
  return runNodeGyp(args, { env, execPath: process.execPath, cwd: folder });
}

function build(options) {
  const variant = VARIANTS.find((name) => options[name]);
  const folder = variant ? copyStage(ROOT, variant) : ROOT;
  if (!options.force && isFresh(folder)) return;
  const startedAt = new Date();
  if (!compile(folder, options)) throw new BuildError('the addon was not built, see above.');
  markBuilt(folder, startedAt);
  say(`built ${path.relative(ROOT, binaryOf(folder))}`);
}

function main() {
  const options = parseArgs({ options: OPTIONS }).values;
  if (options.help) process.stdout.write(HELP);
  else if (options['print-nodedir']) process.stdout.write(`${findHeaders()}\n`);
  else build(options);
}

runMain(main);
