'use strict';

// Processes that a test run started: descendants of this one, and those that were cut off from it but still
// carry its mark in their environment.

const fs = require('node:fs');

const MARK = 'FORKWIRE_TEST_RUN';

/** Has every process that is started from here carry the mark. */
function markDescendants() {
  process.env[MARK] = String(process.pid);
}

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** { pid, parent, state, command }, or null when it is gone. */
function describe(pid) {
  const match = /^\d+ \(.*\) (\w) (\d+)/s.exec(read(`/proc/${pid}/stat`));
  if (!match) return null;
  const command = read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  return { pid, state: match[1], parent: Number(match[2]), command };
}

function allProcesses() {
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => describe(Number(pid))).filter((found) => found !== null);
}

function isMarked({ pid }) {
  return read(`/proc/${pid}/environ`).split('\0').includes(`${MARK}=${process.pid}`);
}

/** Living processes that this one or its descendants started. */
function startedProcesses() {
  const all = allProcesses();
  const found = new Set([process.pid]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  const others = all.filter(({ pid }) => pid !== process.pid);
  return others.filter((one) => found.has(one.pid) || isMarked(one));
}

module.exports = { markDescendants, startedProcesses };
