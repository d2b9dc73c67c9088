'use strict';

// Runs tests, several files at a time: node scripts/test.js [--jobs N] what... [-- options of mocha]
// `what` is a folder of test/ (unit, integration, ...), a file, or `core`, which is scripts/test-core.js.
//
// Each file has a mocha process of its own, as `npx mocha file` has, so that no file can disturb another one and each
// process has to end by itself. The files of test/unit are short and share one.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT, killAllAtSignals, runMocha, runToEnd, testFilesIn } = require('./lib/mocha.js');
const { BuildError, runMain } = require('./lib/say.js');

const SHARED = ['unit'];

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

function jobOf(files, title, mochaArgs) {
  const sizes = files.map((file) => fs.statSync(path.join(ROOT, file)).size);
  const weight = sizes.reduce((sum, size) => sum + size, 0);
  return { title, weight, run: () => runMocha(files, mochaArgs) };
}

function jobsOf(what, mochaArgs) {
  if (what === 'core') return [{ title: 'core', weight: Infinity, run: runCore }];
  if (what.endsWith('.js')) return [jobOf([what], what, mochaArgs)];
  const folder = path.join('test', what);
  if (!fs.existsSync(path.join(ROOT, folder))) throw new BuildError(`there is no ${folder}`);
  const files = testFilesIn(folder);
  if (SHARED.includes(what)) return [jobOf(files, folder, mochaArgs)];
  return files.map((file) => jobOf([file], file, mochaArgs));
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
  const { jobs, what, mocha } = parse(process.argv.slice(2));
  const startedAt = performance.now();
  const results = await runAll(
    what.flatMap((each) => jobsOf(each, mocha)),
    jobs,
  );
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
