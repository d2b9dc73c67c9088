'use strict';

// The fault tests of test/faults: npm run test:faults -- [options] [options of mocha]
//   --repeat N         N times; stops at the first run that fails
//   --busy             meanwhile another process keeps a core busy
//   --long             the long forms
//   --channel WIRES    native, node or native,node
//   --stock            on Node's own child_process: the tests of stock-*.test.js are to fail there, each of them

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { BuildError, runMain, say } = require('./lib/say.js');

const ROOT = path.join(__dirname, '..');
const MOCHA = path.join(ROOT, 'node_modules/mocha/bin/mocha.js');
const ALL = 'test/faults/**/*.test.js';
const ROWS = 'test/faults/stock-*.test.js';

// What hangs on stock hangs for good.
const STOCK_TIMEOUT = '10000';

function parse(args) {
  const options = { repeat: 1, env: { ...process.env }, mocha: [] };
  const left = [...args];
  while (left.length > 0) {
    const option = left.shift();
    if (option === '--repeat') options.repeat = Number(left.shift());
    else if (option === '--busy') options.isBusy = true;
    else if (option === '--stock') options.isStock = true;
    else if (option === '--long') options.env.FORKWIRE_TEST_LONG = '1';
    else if (option === '--channel') options.env.FORKWIRE_TEST_CHANNEL = left.shift();
    else options.mocha.push(option);
  }
  if (!Number.isInteger(options.repeat) || options.repeat < 1) {
    throw new BuildError('--repeat takes a number from 1 on');
  }
  return options;
}

function mocha(args, options) {
  const command = [MOCHA, ...args];
  return spawnSync(process.execPath, command, { cwd: ROOT, stdio: 'inherit', ...options });
}

function repeat({ repeat: times, env, mocha: args }) {
  for (let i = 1; i <= times; i++) {
    const startedAt = performance.now();
    const { status } = mocha([...args, ALL], { env });
    const took = ((performance.now() - startedAt) / 1000).toFixed(0);
    if (times > 1) say(`run ${i} of ${times}: ${status === 0 ? 'ok' : 'failed'} (${took} s)`);
    if (status !== 0) return 1;
  }
  return 0;
}

function reportOf(args, env) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-stock-'));
  const file = path.join(folder, 'report.json');
  const report = ['--reporter', 'json', '--reporter-option', `output=${file}`];
  mocha([...report, ...args], { env, stdio: 'ignore' });
  const content = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  fs.rmSync(folder, { recursive: true });
  return content === ''
    ? { tests: [], failures: [{ err: { message: 'crash' } }] }
    : JSON.parse(content);
}

/** Each in a process of its own: what one leaves behind is not to fail the next. One whose clean-up finds something
 * has failed as well: leaks are among the faults. */
function failsOnStock({ env: given, mocha: args }) {
  const env = { ...given, FORKWIRE_TEST_STOCK: '1' };
  const { tests } = reportOf([...args, '--dry-run', ROWS], env);
  let passed = 0;
  for (const { fullTitle } of tests) {
    const { failures } = reportOf(['--timeout', STOCK_TIMEOUT, '--fgrep', fullTitle, ROWS], env);
    const [why] = (failures[0]?.err.message ?? '').trim().split('\n');
    say(failures.length > 0 ? `fails   ${fullTitle}: ${why}` : `PASSES  ${fullTitle}`);
    if (failures.length === 0) passed++;
  }
  say(`${tests.length - passed} of ${tests.length} fail on stock Node ${process.version}`);
  return tests.length > 0 && passed === 0 ? 0 : 1;
}

function main() {
  const options = parse(process.argv.slice(2));
  const busy = options.isBusy ? spawn(process.execPath, ['-e', 'for (;;);']) : null;
  try {
    process.exitCode = options.isStock ? failsOnStock(options) : repeat(options);
  } finally {
    busy?.kill();
  }
}

runMain(main);
