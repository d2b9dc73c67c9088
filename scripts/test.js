'use strict';

// Runs tests, several files at a time: node scripts/test.js [--jobs N] what... [-- options of mocha]
// `what` is a folder of test/ (unit, integration, ...), a file, or `core`, which is scripts/test-core.js.
//
// Files share mocha processes, since the start of one takes as long as many a file: each leaves nothing behind for the next
// one (test/helpers/hooks.js), and each process has to end by itself. Those that would disturb others have one of their own.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT, killAllAtSignals, runMocha, runToEnd, testFilesIn } = require('./lib/mocha.js');
const { BuildError, runMain } = require('./lib/say.js');

// They change or measure the process that they run in.
const ALONE = ['globals', 'memory', 'received-memory'].map(
  (name) => `test/integration/${name}.test.js`,
);

// For each of those that run at once: few enough to save starts, and enough for all to end at about the same time.
const PROCESSES_PER_JOB = 4;

// Many tests wait for a moment, during which the processor is free for others.
const JOBS_PER_CORE = 2;

function parse(args) {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const options = { jobs: os.availableParallelism() * JOBS_PER_CORE, what: [], mocha: [] };
  if (end >= 0) options.mocha = args.slice(end + 1);
  for (let i = 0; i < own.length; i++) {
    if (own[i] === '--jobs') options.jobs = Number(own[++i]);
    else options.what.push(own[i]);
  }
  if (!Number.isInteger(options.jobs) || options.jobs < 1) {
    throw new BuildError('--jobs takes a number from 1 on');
  }
  if (options.what.length === 0) throw new BuildError('say which tests: unit, core, a file, ...');
  return options;
}

async function runCore() {
  const core = [path.join(ROOT, 'scripts/test-core.js')];
  const result = await runToEnd(process.execPath, core);
  const count = (word) =>
    Number(new RegExp(`^core: .*?(\\d+) ${word}`, 'm').exec(result.output)?.[1]);
  return {
    ...result,
    passing: count('passed') || 0,
    failing: count('failed') || 0,
    pending: 0,
    summary: result.output,
  };
}

const weightOf = (file) => fs.statSync(path.join(ROOT, file)).size;

/** The files that `what` stands for. */
function filesOf(what) {
  if (what.endsWith('.js')) return [what];
  const folder = path.join('test', what);
  if (!fs.existsSync(path.join(ROOT, folder))) throw new BuildError(`there is no ${folder}`);
  return testFilesIn(folder);
}

/** At most `count` groups of about the same weight, and one for each file that is to be alone. */
function groupsOf(files, count) {
  const groups = files.filter((file) => ALONE.includes(file)).map((file) => [file]);
  const shared = files.filter((file) => !ALONE.includes(file));
  const heaviestFirst = shared.toSorted((a, b) => weightOf(b) - weightOf(a));
  const bins = Array.from({ length: count }, () => ({ weight: 0, files: [] }));
  for (const file of heaviestFirst) {
    const bin = bins.reduce((least, each) => (each.weight < least.weight ? each : least));
    bin.files.push(file);
    bin.weight += weightOf(file);
  }
  return [...groups, ...bins.map((bin) => bin.files)].filter((group) => group.length > 0);
}

function titleOf(files) {
  const names = files.map((file) => file.replace(/^test\//, '').replace(/\.test\.js$/, ''));
  return names.join(', ');
}

function jobsOf({ what, jobs, mocha }) {
  const core = { title: 'core', weight: Infinity, run: runCore };
  const files = what.filter((each) => each !== 'core').flatMap(filesOf);
  const others = groupsOf(files, jobs * PROCESSES_PER_JOB).map((group) => ({
    title: titleOf(group),
    weight: group.reduce((sum, file) => sum + weightOf(file), 0),
    run: () => runMocha(group, mocha),
  }));
  return what.includes('core') ? [core, ...others] : others;
}

function report({ title }, { ok, ms, passing, pending, failing, summary }) {
  const seconds = (ms / 1000).toFixed(1);
  const counts = [`${passing} passing`];
  if (pending > 0) counts.push(`${pending} pending`);
  if (failing > 0) counts.push(`${failing} failing`);
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${title} (${counts.join(', ')}, ${seconds} s)\n`);
  if (!ok) process.stdout.write(`${summary}\n`);
}

/** The largest first: what starts last decides when all have ended. */
async function runAll(jobs, atOnce) {
  const left = [...jobs].sort((a, b) => b.weight - a.weight);
  const results = [];
  const worker = async () => {
    while (left.length > 0) {
      const job = left.shift();
      const result = await job.run();
      report(job, result);
      results.push({ ...job, ...result });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

async function main() {
  killAllAtSignals();
  const options = parse(process.argv.slice(2));
  const startedAt = performance.now();
  const results = await runAll(jobsOf(options), options.jobs);
  const sum = (name) => results.reduce((total, result) => total + result[name], 0);
  const failed = results.filter(({ ok }) => !ok);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  for (const { title } of failed) process.stdout.write(`failed: ${title}\n`);
  process.stdout.write(
    `${sum('passing')} passing, ${sum('pending')} pending, ${sum('failing')} failing` +
      ` in ${results.length} processes (${seconds} s)\n`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

runMain(main);
