'use strict';

// Breaks the core, the binding and lib in one place after the other (scripts/mutations.js), in a copy of the
// checkout in build/mutate, and runs the tests that are to notice. Prints what no test noticed, and fails
// where that is more than a tenth.
//   npm run mutate [-- WORD]      only those whose file, text or effect has the word
//   npm run mutate -- --core      only those that programs in C are to notice: a few minutes

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { BuildError, runMain, say } = require('./lib/say.js');
const { MUTATIONS } = require('./mutations.js');

const ROOT = path.join(__dirname, '..');
const COPY = path.join(ROOT, 'build/mutate');
const MOCHA = path.join(ROOT, 'node_modules/mocha/bin/mocha.js');
const TIMEOUT_MS = 180_000; // a mutation may make a test wait for ever: that is noticed as well
const ENOUGH = 0.9;

const isOfCore = (test) => test.startsWith('core/');

/** The files that git knows, or would; with what was built of them. */
function makeCopy() {
  fs.mkdirSync(COPY, { recursive: true });
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).split('\0');
  for (const file of files.filter((name) => fs.existsSync(path.join(ROOT, name)) && name)) {
    fs.mkdirSync(path.dirname(path.join(COPY, file)), { recursive: true });
    fs.cpSync(path.join(ROOT, file), path.join(COPY, file), { preserveTimestamps: true });
  }
  const modules = path.join(COPY, 'node_modules');
  if (!fs.existsSync(modules)) fs.symlinkSync(path.join(ROOT, 'node_modules'), modules);
}

/** Runs a program in the copy: { ok, output }. */
function run(args) {
  const env = { ...process.env, CFLAGS: '-w' }; // what is broken on purpose may look odd to a compiler
  const limit = { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' };
  const options = { cwd: COPY, encoding: 'utf8', env, ...limit };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
  return { ok: status === 0, output: `${stdout}${stderr}` };
}

/** What is broken so that nothing runs says nothing of the tests. */
function mustCompile({ ok, output }, isBuild = false) {
  const isBroken = isBuild ? !ok : output.includes('does not compile');
  if (isBroken) throw new BuildError(`it does not compile:\n${output.slice(-2000)}`);
}

let isAddonStale = true;

/** The addon of what the copy holds. */
function buildAddon() {
  if (!isAddonStale) return;
  mustCompile(run(['scripts/build.js']), true);
  isAddonStale = false;
}

function runCore(tests) {
  const names = tests.map((test) => path.basename(test));
  const result = run(['scripts/test-core.js', ...names]);
  mustCompile(result);
  return result;
}

function runMocha(test) {
  buildAddon();
  return run([MOCHA, '--bail', `test/${test}.test.js`]);
}

/** The first of these tests that fails, or undefined; the quickest first. */
function failingOf(tests) {
  const core = tests.filter(isOfCore);
  if (core.length > 0 && !runCore(core).ok) return core[0];
  return tests.filter((test) => !isOfCore(test)).find((test) => !runMocha(test).ok);
}

function change(file, from, to) {
  const whole = path.join(COPY, file);
  const text = fs.readFileSync(whole, 'utf8');
  if (text.split(from).length !== 2) throw new BuildError(`not once in ${file}: ${from}`);
  fs.writeFileSync(
    whole,
    text.replace(from, () => to),
  );
  if (file.startsWith('src/')) isAddonStale = true;
}

const sound = new Set(); // tests of mocha that pass on what is not broken

/** A test that fails on what is not broken would notice everything. */
function checkSound(test) {
  if (isOfCore(test) || sound.has(test)) return;
  const { ok, output } = runMocha(test);
  if (!ok) throw new BuildError(`${test} fails unchanged:\n${output.slice(-3000)}`);
  sound.add(test);
}

/** Whether a test notices it. */
function isNoticed({ file, find, replace, tests }) {
  const whole = path.join(COPY, file);
  const before = fs.readFileSync(whole, 'utf8');
  let failing;
  change(file, find, replace);
  try {
    failing = failingOf(tests);
    if (!failing && file.startsWith('src/core/') && !runCore([]).ok) failing = 'core/all';
  } finally {
    fs.writeFileSync(whole, before);
    if (file.startsWith('src/')) isAddonStale = true;
  }
  if (failing) checkSound(failing);
  return failing !== undefined;
}

function main() {
  const [word = ''] = process.argv.slice(2);
  const isWanted = (each) =>
    word === '--core' ? each.tests.every(isOfCore) : JSON.stringify(each).includes(word);
  const mutations = MUTATIONS.filter(isWanted);
  os.setPriority(19);
  makeCopy();
  const { ok, output } = runCore([]);
  if (!ok) throw new BuildError(`the tests of the core fail unchanged:\n${output.slice(-3000)}`);
  const alive = [];
  for (const mutation of mutations) {
    const noticed = isNoticed(mutation);
    if (!noticed) alive.push(mutation);
    process.stdout.write(`${noticed ? 'killed' : 'LIVES '} ${mutation.file}: ${mutation.breaks}\n`);
  }
  const killed = mutations.length - alive.length;
  say(`${killed} of ${mutations.length} mutations are noticed`);
  for (const { file, find, breaks } of alive) say(`lives: ${file}: ${breaks}\n  ${find}`);
  if (killed < ENOUGH * mutations.length) process.exitCode = 1;
}

runMain(async () => main());
