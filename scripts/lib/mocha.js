'use strict';

// Runs mocha in a process of its own on the running Node, and says how that went.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
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
 * Runs a command to its end. Resolves to { ok, output, ms }; one that takes too long is killed with all of its
 * descendants.
 */
function runToEnd(command, args, { limit = LIMIT_MS, env } = {}) {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const options = {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    };
    const child = spawn(command, args, options);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const timer = setTimeout(() => {
      output += `\nIt did not end within ${limit / 1000} s.\n`;
      [...descendantsOf(child.pid), child.pid].forEach(kill);
    }, limit);
    child.on('error', (error) => {
      output += `${error.message}\n`;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (signal) output += `\nIt was ended by ${signal}.\n`;
      resolve({ ok: code === 0, output, ms: Math.round(performance.now() - startedAt) });
    });
  });
}

/** Runs mocha on these files. Resolves to { ok, output, ms, passing, failing, pending, summary }. */
async function runMocha(files, args = [], options = {}) {
  const command = [MOCHA, '--no-color', '--reporter', 'spec', ...args, ...files];
  const result = await runToEnd(process.execPath, command, options);
  const summary = summaryOf(result.output);
  // A process that ended without a word did not run its tests, whatever its exit code is.
  if (summary === null) {
    return { ...result, ok: false, passing: 0, failing: 0, pending: 0, summary: result.output };
  }
  return { ...result, ...summary };
}

module.exports = { ROOT, killAllAtSignals, runMocha, runToEnd, testFilesIn };
