'use strict';

// Shows that a test does not fail now and then: npm run test:repeat -- file... [times] [options] [-- options of mocha]
//   times       50 by default
//   --busy      meanwhile a process for each core does nothing but compute
//   --one-core  all of it, with one such process, on one core
//   --jobs N    N at a time; by default one

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const { killAllAtSignals, runMocha } = require('./lib/mocha.js');
const { BuildError, runMain, say } = require('./lib/say.js');

const COMPUTE = ['-e', 'for (;;);'];

function parse(args) {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const options = { times: 50, jobs: 1, files: [], mocha: end < 0 ? [] : args.slice(end + 1) };
  for (let i = 0; i < own.length; i++) {
    if (own[i] === '--busy') options.isBusy = true;
    else if (own[i] === '--one-core') options.isOnOneCore = true;
    else if (own[i] === '--jobs') options.jobs = Number(own[++i]);
    else if (/^\d+$/.test(own[i])) options.times = Number(own[i]);
    else options.files.push(own[i]);
  }
  if (options.files.length === 0) throw new BuildError('say which test files.');
  return options;
}

/** The numbers of the cores that this process may use. */
function allowedCores() {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  const [, list] = /^Cpus_allowed_list:\s*(.*)$/m.exec(status);
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Starts what keeps the cores busy. Returns its processes. */
function startLoad({ isBusy, isOnOneCore }) {
  const cores = allowedCores();
  if (isOnOneCore) {
    execFileSync('taskset', ['--cpu-list', '--pid', String(cores[0]), String(process.pid)]);
  }
  const count = isOnOneCore ? 1 : isBusy ? cores.length : 0;
  return Array.from({ length: count }, () => spawn(process.execPath, COMPUTE, { stdio: 'ignore' }));
}

async function runTimes({ files, times, jobs, mocha }) {
  let [started, failed] = [0, 0];
  const worker = async () => {
    while (started < times) {
      const number = ++started;
      const { ok, ms, summary } = await runMocha(files, mocha);
      if (!ok) failed++;
      say(`run ${number} of ${times}: ${ok ? 'ok' : 'FAILED'} (${(ms / 1000).toFixed(1)} s)`);
      if (!ok) process.stdout.write(`${summary}\n`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return failed;
}

async function main() {
  const options = parse(process.argv.slice(2));
  killAllAtSignals();
  const load = startLoad(options);
  const failed = await runTimes(options);
  for (const each of load) each.kill();
  say(`${options.times - failed} of ${options.times} passed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

runMain(main);
