'use strict';

// Where a build takes place: the checkout itself, or a copy of the sources for a build of another kind beside it.

const fs = require('node:fs');
const path = require('node:path');

const SOURCES = ['binding.gyp', 'src'];

/** A copy under build/<name>; times are kept, so that make compiles only what changed. */
function copyStage(root, name) {
  const folder = path.join(root, 'build', name);
  fs.rmSync(path.join(folder, 'src'), { recursive: true, force: true });
  for (const source of SOURCES) {
    const options = { recursive: true, preserveTimestamps: true };
    fs.cpSync(path.join(root, source), path.join(folder, source), options);
  }
  return folder;
}

function newest(file) {
  const stat = fs.statSync(file);
  if (!stat.isDirectory()) return stat.mtimeMs;
  const inside = fs.readdirSync(file).map((name) => newest(path.join(file, name)));
  return Math.max(stat.mtimeMs, ...inside);
}

function binaryOf(folder) {
  return path.join(folder, 'build/Release/forkwire.node');
}

/** Whether the binary was built from the sources as they are. */
function isFresh(folder) {
  const built = fs.statSync(binaryOf(folder), { throwIfNoEntry: false });
  return Boolean(built) && SOURCES.every((name) => newest(path.join(folder, name)) < built.mtimeMs);
}

/** A source that was saved while the compiler ran must count as newer than the binary. */
function markBuilt(folder, startedAt) {
  fs.utimesSync(binaryOf(folder), startedAt, startedAt);
}

function discard(folder) {
  fs.rmSync(path.dirname(binaryOf(folder)), { recursive: true, force: true });
}

module.exports = { binaryOf, copyStage, discard, isFresh, markBuilt };
