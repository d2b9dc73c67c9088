'use strict';

// Runs mocha in a process of its own on the running Node, and says how that went.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { descendantsOf } = require('../../test/helpers/processes.js');

const ROOT = path.join(__dirname, '../..');
const MOCHA = path.join(ROOT, 'node_modules/mocha/bin/mocha.js');
const LIMIT_MS = 600_000;

/** All test files in a folder and in those below it. */
function testFilesIn(folder) {
  const entries = fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) return testFilesIn(name);
    return name.endsWith('.test.js') ? [name] : [];
  });
}

/** What mocha says in the end: { passing, failing, pending, summary }, or null where it did not get there. */
function summaryOf(output) {
  const match = /^ {2}(\d+) passing \(.*\)$/m.exec(output);
  if (match === null) return null;
  const summary = output.slice(match.index);
  const count = (word) => Number(new RegExp(`^  (\\d+) ${word}$`, 'm').exec(summary)?.[1] ?? 0);
  return {
    passing: Number(match[1]),
    failing: count('failing'),
    pending: count('pending'),
    summary,
  };
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Has nothing that this process started outlive it when somebody ends it. */
function killAllAtSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      descendantsOf(process.pid).forEach(kill);
      process.kill(process.pid, signal);
    });
  }
}

/**
 * The environment of tests. Node reads and parses the certificates of NODE_EXTRA_CA_CERTS at each start: those of a system take it
 * as long as all the rest. Only the tests of the package, which install it, ask anybody outside.
 */
function environmentOf(files) {
  const { NODE_EXTRA_CA_CERTS: _certificates, ...env } = process.env;
  return files.some((file) => file.startsWith('test/package')) ? process.env : env;
}

/**
 * Runs a command to its end. Resolves to { ok, output, ms }; one that takes too long is killed with all of its
 * descendants. Its output goes to a file: the pipes that spawn() makes are sockets, which a test may count, and are
 * not closed before the last descendant has ended.
 */
function runToEnd(command, args, { limit = LIMIT_MS, env = process.env } = {}) {
  const startedAt = performance.now();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-run-'));
  const file = path.join(folder, 'output');
  const fd = fs.openSync(file, 'a');
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', fd, fd] });
  fs.closeSync(fd);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      fs.appendFileSync(file, `\nIt did not end within ${limit / 1000} s.\n`);
      [...descendantsOf(child.pid), child.pid].forEach(kill);
    }, limit);
    const end = (ok, last) => {
      clearTimeout(timer);
      const output = fs.readFileSync(file, 'utf8') + last;
      fs.rmSync(folder, { recursive: true });
      resolve({ ok, output, ms: Math.round(performance.now() - startedAt) });
    };
    child.once('error', (error) => end(false, `${error.message}\n`));
    child.once('exit', (code, signal) => {
      end(code === 0, signal ? `\nIt was ended by ${signal}.\n` : '');
    });
  });
}

/** Runs mocha on these files. Resolves to { ok, output, ms, passing, failing, pending, summary }. */
async function runMocha(files, args = [], options = {}) {
  const command = [MOCHA, '--no-color', '--reporter', 'spec', ...args, ...files];
  const env = environmentOf(files);
  const result = await runToEnd(process.execPath, command, { env, ...options });
  const summary = summaryOf(result.output);
  // A process that ended without a word did not run its tests, whatever its exit code is.
  if (summary === null) {
    return { ...result, ok: false, passing: 0, failing: 0, pending: 0, summary: result.output };
  }
  return { ...result, ...summary };
}

module.exports = { ROOT, killAllAtSignals, runMocha, runToEnd, testFilesIn };
