'use strict';

// RLIMIT_NOFILE of a process, changed from outside while it runs.

const { execFileSync } = require('node:child_process');

/** Sets the soft limit: how many descriptors the process may have open, or rather the first number that it cannot get. */
function setDescriptorLimit(pid, limit) {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

module.exports = { setDescriptorLimit };
