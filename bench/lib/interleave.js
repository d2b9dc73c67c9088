'use strict';

// One workload: a driver for each subject, and slices in turn, so that whatever else the machine does hits all alike.

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { measures } = require('./measures');
const { range } = require('./statistics');
const { runTree } = require('./tree');

const DRIVER = path.join(__dirname, 'driver.js');
const MAX_COUNT = 1 << 20;

/** A driver process; pinned where the workload says so. */
async function startDriver(workload, subject) {
  const pin = workload.cpus
    ? { execPath: 'taskset', execArgv: ['-c', workload.cpus, process.execPath] }
    : {};
  const driver = fork(DRIVER, [workload.name, subject], pin);
  await next(driver);
  return driver;
}

/** The driver's next message; an error when it ends instead. */
async function next(driver) {
  const gone = new AbortController();
  const exit = once(driver, 'exit', { signal: gone.signal }).then(([code, signal]) => {
    throw new Error(`a driver ended: ${signal ?? code}`);
  });
  exit.catch(() => {});
  try {
    return (await Promise.race([once(driver, 'message'), exit]))[0];
  } finally {
    gone.abort();
  }
}

async function stopDriver(driver) {
  const exited = once(driver, 'exit');
  driver.send({ count: 0 });
  await exited;
}

async function slice(driver, count) {
  driver.send({ count });
  return next(driver);
}

/** A slice by a driver that has done nothing before. */
async function freshSlice(workload, subject, count) {
  const driver = await startDriver(workload, subject);
  const result = await slice(driver, count);
  await stopDriver(driver);
  return result;
}

/** How many operations of a subject take `sliceTime` ms of processor time: on a busy machine the wall clock would make slices too
 * short to be worth anything. Each subject has its own number: with stock's, slices of what is ten times faster would be
 * over before its code and data are back in the processor's caches. A workload whose operations take long has a longer
 * `sliceTime` of its own. */
async function calibrate(workload, driver, { sliceTime, isQuick }) {
  let { count } = workload;
  const multiple = workload.multiple ?? 1;
  if (isQuick && workload.quickCount) return workload.quickCount;
  if (workload.fixed) return count;
  const wantedTime = 1000 * ((!isQuick && workload.sliceTime) || sliceTime);
  for (let i = 0; i < 3; i++) {
    const { cpu } = await slice(driver, count);
    const wanted = Math.min(MAX_COUNT, (count * wantedTime) / cpu, count * 10);
    count = Math.max(1, Math.round(wanted / multiple)) * multiple;
  }
  return count;
}

/** The compiler is to be through with everybody's code: a subject that needs less time for a slice gets more of them, and
 * a workload with much code for each operation, in several processes, has a longer `warmTime` of its own. */
async function warmUp(workload, drivers, { isQuick, warmSlices, warmTime }) {
  const count = (isQuick && workload.quickCount) || workload.count;
  const wanted = 1000 * (isQuick ? warmTime : (workload.warmTime ?? warmTime));
  for (const driver of drivers.values()) {
    let used = 0;
    for (let i = 0; i < warmSlices || used < wanted; i++) {
      used += (await slice(driver, count)).cpu;
    }
  }
}

/** Processes that keep every processor busy, at the same priority. */
function startBusy(count = 0) {
  const loop = ['-e', 'for (;;);'];
  return Array.from({ length: count }, () => spawn(process.execPath, loop, { stdio: 'ignore' }));
}

/** Subjects that exist in this workload, stock and forkwire first; a quick look is at no others. */
const subjectsOf = ({ subjects = [] }, { isQuick }) =>
  isQuick ? ['stock', 'forkwire'] : ['stock', 'forkwire', ...subjects];

const rotate = (list, by) => list.map((_, i) => list[(i + by) % list.length]);

const roundsOf = (workload, { rounds, isQuick, areRoundsGiven }) =>
  isQuick || areRoundsGiven ? rounds : (workload.rounds ?? rounds);

/** As run(), for a workload of fresh processes: there is nothing to warm up. */
async function runTrees(workload, options) {
  const subjects = subjectsOf(workload, options);
  const take = (subject) => runTree(workload, subject);
  const rounds = [];
  for (let i = 0; i < roundsOf(workload, options); i++) {
    rounds.push(await runRound(subjects, take, 1, i));
  }
  return { counts: workload.tree.count, rounds };
}

/** Runs a workload. Gives { counts: { subject: operations in a slice }, rounds: [{ subject: [slice, ...] }, ...] }. */
async function run(workload, options) {
  if (workload.tree) return runTrees(workload, options);
  const subjects = subjectsOf(workload, options);
  const drivers = new Map();
  if (!workload.isFresh) {
    for (const subject of subjects) drivers.set(subject, await startDriver(workload, subject));
  }
  const busy = startBusy(workload.busy);
  if (!workload.isFresh) await warmUp(workload, drivers, options);
  const counts = {};
  for (const subject of subjects) {
    counts[subject] = await calibrate(workload, drivers.get(subject), options);
  }
  const take = (subject) =>
    workload.isFresh
      ? freshSlice(workload, subject, counts[subject])
      : slice(drivers.get(subject), counts[subject]);
  const rounds = [];
  const slices = workload.slices ?? options.slices;
  for (let i = 0; i < options.rounds; i++) rounds.push(await runRound(subjects, take, slices, i));
  for (const child of busy) child.kill();
  for (const driver of drivers.values()) await stopDriver(driver);
  return { counts, rounds };
}

async function runRound(subjects, take, slices, number) {
  const round = Object.fromEntries(subjects.map((subject) => [subject, []]));
  for (let i = 0; i < slices; i++) {
    for (const subject of rotate(subjects, number + i)) round[subject].push(await take(subject));
  }
  return round;
}

/** One row of the result: a measure of a workload, with the medians of the paired ratios to stock. */
function summarize({ rounds }, { what, target }) {
  const { value, compare } = measures[what];
  const subjects = Object.keys(rounds[0]);
  const values = {};
  const ratios = {};
  for (const subject of subjects) {
    const own = rounds.map((round) => value(round[subject]));
    const stock = rounds.map((round) => value(round.stock));
    values[subject] = range(own);
    ratios[subject] = range(own.map((each, i) => compare(stock[i], each)));
  }
  return { what, target, values, ratios };
}

module.exports = { run, summarize };
