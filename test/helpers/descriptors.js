'use strict';

// Open descriptors of a process, as /proc shows them.

const fs = require('node:fs');

function targetOf(folder, fd) {
  try {
    return fs.readlinkSync(`${folder}/${fd}`);
  } catch {
    return null; // closed meanwhile: that of the listing itself
  }
}

/** fd -> what it refers to, such as `socket:[4711]`. Empty when the process is gone. */
function descriptorsOf(pid = process.pid) {
  const folder = `/proc/${pid}/fd`;
  let names;
  try {
    names = fs.readdirSync(folder);
  } catch {
    return new Map();
  }
  const entries = names.map((fd) => [Number(fd), targetOf(folder, fd)]);
  return new Map(entries.filter(([, target]) => target !== null));
}

/** What is in `now` and was not in `before`, as `fd -> target`. */
function newDescriptors(before, now) {
  const added = [...now].filter(([fd, target]) => before.get(fd) !== target);
  return added.map(([fd, target]) => `${fd} -> ${target}`);
}

module.exports = { descriptorsOf, newDescriptors };
