'use strict';

// Which program a child will run, and whether that is this very Node. process.execPath does not tell: programs assign it.

const { accessSync, closeSync, constants, fstatSync, openSync, readFileSync, statSync } =
  require('node:fs');
const path = require('node:path');
const { valueIn } = require('./environment');

/** The file that this process runs, whatever has its name by now. */
const SELF = '/proc/self/exe';

/** What an open file is, by descriptor: as a name it would be another under an emulator. */
function statusOf(file) {
  const fd = openSync(file, 'r');
  try {
    return fstatSync(fd);
  } finally {
    closeSync(fd);
  }
}

let known;

/**
 * { file, status } of the program of this process; throws where it cannot be known.
 * @param startedAs (): the path by which the kernel started it
 */
function ownProgram(startedAs) {
  if (known) return known;
  try {
    known = { file: SELF, status: statusOf(SELF) };
  } catch {
    const file = startedAs(); // there is no /proc
    if (!path.isAbsolute(file)) throw new Error(`${SELF} cannot be read`);
    known = { file, status: statSync(file) };
  }
  return known;
}

/** The file that execvp() will find, with the child's PATH and working directory; null when there is none. Throws where
 * that depends on a working directory that is gone. */
function findProgram(file, envPairs, cwd) {
  const folder = cwd == null ? [] : [String(cwd)];
  if (file.includes('/')) return path.resolve(...folder, file);
  const folders = valueIn(envPairs, 'PATH');
  if (folders === undefined) return null; // each C library has other ones then
  for (const entry of folders.split(':')) {
    const candidate = path.resolve(...folder, entry, file);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here; the next folder of PATH may have it.
    }
  }
  return null;
}

const comparisons = new Map(); // identity of a file -> whether it equals this Node

function isSameFile(file, status, self) {
  if (status.dev === self.status.dev && status.ino === self.status.ino) return true;
  if (status.size !== self.status.size || !status.isFile()) return false;
  const identity = `${status.dev}:${status.ino}:${status.mtimeMs}:${status.size}`;
  if (!comparisons.has(identity)) {
    comparisons.set(identity, readFileSync(file).equals(readFileSync(self.file)));
  }
  return comparisons.get(identity);
}

/**
 * The path of the program that a child will run if that is this Node, or a copy of it, else null. Throws where it
 * cannot be known.
 * @param options { file, envPairs, cwd } of ChildProcess.prototype.spawn()
 * @param startedAs as for ownProgram()
 */
function thisNodeIn({ file, envPairs, cwd }, startedAs) {
  const program = findProgram(file, envPairs, cwd);
  if (!program) return null;
  return isSameFile(program, statSync(program), ownProgram(startedAs)) ? program : null;
}

module.exports = { thisNodeIn };
