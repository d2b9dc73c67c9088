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

const PF_KTHREAD = 0x200000; // of the kernel's own threads

/** { pid, parent, state, isOfKernel }, or null when it is gone. */
function describe(pid) {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === '') return null;
  // The name of the program stands in brackets, and may contain any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const isOfKernel = (Number(fields[6]) & PF_KTHREAD) !== 0;
  return { pid, state: fields[0], parent: Number(fields[1]), isOfKernel };
}

/** Whether that process waits in its event loop, in epoll_wait(). */
function isAsleep(pid) {
  return read(`/proc/${pid}/wchan`).includes('poll');
}

function commandOf(pid) {
  return read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
}

function livingPids() {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

const describeAll = (pids) => pids.map(describe).filter((found) => found !== null);

/** The pids of those in `all` that are below `root`. */
function treeIn(all, root) {
  const found = new Set([root]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  found.delete(root);
  return found;
}

/** The pids of all living processes below that one. */
function descendantsOf(pid) {
  return [...treeIn(describeAll(livingPids()), pid)];
}

// The pids of the machine's other processes. None of them can become ours, since a process gets its parent and
// the mark when it starts: to look at all of them again and again would take most of the time of a short test.
const strangers = new Set();

/** Whether it carries our mark; null where that cannot be said yet, since it is only starting. */
function isMarked({ pid, isOfKernel }) {
  if (isOfKernel) return false;
  const environment = read(`/proc/${pid}/environ`);
  if (environment === '') return null;
  return environment.split('\0').includes(`${MARK}=${process.pid}`);
}

/** Living processes that this one or its descendants started: { pid, state }. */
function startedProcesses() {
  const pids = livingPids().filter((pid) => !strangers.has(pid) && pid !== process.pid);
  const all = describeAll(pids);
  const tree = treeIn(all, process.pid);
  return all.filter((one) => {
    if (tree.has(one.pid)) return true;
    const marked = isMarked(one);
    if (marked === false) strangers.add(one.pid);
    return marked === true;
  });
}

module.exports = { commandOf, descendantsOf, isAsleep, markDescendants, startedProcesses };
