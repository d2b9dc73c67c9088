'use strict';

// Compiles and runs the tests of the core: test/core/*_test.c, one program each. They have no event
// loop, or that of the fuzz targets, in memory (`// sources:`). CFLAGS are added to what they are
// compiled and linked with. What did not change since it was last compiled stays as it is.
//   node scripts/test-core.js [NAME...]     of these alone, such as ledger_test

const { execFile, execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { findHeaders } = require('./lib/headers.js');
const { BuildError, runMain, say } = require('./lib/say.js');

const ROOT = path.join(__dirname, '..');
const OUT = path.join(ROOT, 'build/core-tests');
const CC = process.env.CC || 'cc';
const SANITIZE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
const CFLAGS = (process.env.CFLAGS ?? '').split(' ').filter(Boolean);
const TIMEOUT = 120_000;

// The files of the channel need an event loop; a test program has none.
const OF_CHANNEL = '#include "channel_state.h"';

function sourcesIn(folder, wanted) {
  const names = fs.existsSync(path.join(ROOT, folder))
    ? fs.readdirSync(path.join(ROOT, folder))
    : [];
  return names.filter(wanted).map((name) => path.join(ROOT, folder, name));
}

/** Resolves to { ok, output, ms }. */
function run(command, args) {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    execFile(command, args, { timeout: TIMEOUT }, (error, stdout, stderr) => {
      const how = error ? `${error.signal ?? `exit code ${error.code}`}\n` : '';
      const ms = Math.round(performance.now() - startedAt);
      resolve({ ok: !error, output: stdout + stderr + how, ms });
    });
  });
}

async function inParallel(items, work) {
  const left = [...items];
  const worker = async () => {
    while (left.length > 0) await work(left.shift());
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
}

function sanitizerFlags() {
  const probe = path.join(OUT, 'probe');
  try {
    const args = [...SANITIZE, '-x', 'c', '-', '-o', probe];
    execFileSync(CC, args, { input: 'int main(void) { return 0; }\n', stdio: 'pipe' });
    execFileSync(probe, { stdio: 'pipe' });
    return SANITIZE;
  } catch {
    say(`${CC} has no working sanitizers here: the tests of the core run without them`);
    return [];
  }
}

function objectOf(source) {
  return path.join(OUT, `${path.basename(source, '.c')}.o`);
}

function readIfThere(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}

/** A digest of what makes an object, next to it: the compiler, its arguments, and every header that there is. */
function commonDigest(args) {
  const headers = ['src', 'src/core', 'test/core'].flatMap((folder) =>
    sourcesIn(folder, (name) => name.endsWith('.h')),
  );
  const hash = createHash('sha256').update(execFileSync(CC, ['--version']));
  hash.update(JSON.stringify(args));
  for (const header of headers) hash.update(header).update(fs.readFileSync(header));
  return hash.digest('hex');
}

// Without -O: these programs are compiled more often than they run, and that takes less than half of the time.
async function compileAll(sources, sanitize) {
  const flags = ['-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-g'];
  const include = path.join(findHeaders(), 'include/node');
  const paths = ['-I', path.join(ROOT, 'src'), '-isystem', include];
  const args = [...flags, ...sanitize, ...paths];
  const common = commonDigest(args);
  await inParallel(sources, async (source) => {
    const object = objectOf(source);
    const made = createHash('sha256').update(common).update(fs.readFileSync(source)).digest('hex');
    const note = `${object}.digest`;
    if (fs.existsSync(object) && readIfThere(note) === made) return;
    fs.rmSync(note, { force: true });
    const result = await run(CC, [...args, '-c', source, '-o', object]);
    if (!result.ok) throw new BuildError(`${source} does not compile:\n${result.output}`);
    fs.writeFileSync(note, made);
  });
}

/** What the lines `// NAME: ...` of a test say. */
function wordsOf(source, name) {
  const lines = fs.readFileSync(source, 'utf8').matchAll(/^\/\/ ([a-z-]+): (.*)$/gm);
  return [...lines].flatMap(([, which, words]) => (which === name ? words.split(' ') : []));
}

/** What a test is linked with beside the core: its `// link-flags:` lines. */
const linkFlagsOf = (source) => wordsOf(source, 'link-flags');

/** What a test is linked with instead of the core: its `// sources:` lines. */
const sourcesOf = (source) =>
  wordsOf(source, 'sources').map((relative) => path.join(ROOT, relative));

async function runTest(source, core, sanitize) {
  const name = path.basename(source, '.c');
  const program = path.join(OUT, name);
  const flags = [...sanitize, ...linkFlagsOf(source), '-pthread'];
  const own = sourcesOf(source);
  const objects = (own.length > 0 ? own : core).map(objectOf);
  const link = [...flags, objectOf(source), ...objects, '-o', program];
  const linked = await run(CC, link);
  const result = linked.ok ? await run(program, []) : linked;
  process.stdout.write(`${result.ok ? 'ok  ' : 'FAIL'} ${name} (${result.ms} ms)\n`);
  if (!result.ok) process.stdout.write(`${result.output}\n`);
  return result.ok;
}

async function main() {
  fs.mkdirSync(OUT, { recursive: true });
  const named = process.argv.slice(2).map((name) => `${name}.c`);
  const isWanted = (name) => (named.length > 0 ? named.includes(name) : name.endsWith('_test.c'));
  const tests = sourcesIn('test/core', isWanted);
  const core = sourcesIn('src/core', (name) => name.endsWith('.c')).filter(
    (file) => !fs.readFileSync(file, 'utf8').includes(OF_CHANNEL),
  );
  if (tests.length === 0) throw new BuildError('there are no tests in test/core.');
  const sanitize = [...sanitizerFlags(), ...CFLAGS];
  const others = tests.flatMap(sourcesOf);
  await compileAll([...new Set([...core, ...others, ...tests])], sanitize);
  const results = [];
  await inParallel(tests, async (test) => {
    results.push(await runTest(test, core, sanitize));
  });
  const failed = results.filter((ok) => !ok).length;
  process.stdout.write(`core: ${results.length - failed} passed, ${failed} failed\n`);
  if (failed > 0) process.exitCode = 1;
}

runMain(main);
