'use strict';

const assert = require('node:assert/strict');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');

// A sanitizer keeps what was freed for a while.
const isMeasurable = process.env.ASAN_OPTIONS === undefined;

/** That a process grew by less than `limit`; both in bytes. */
function assertGrowth(growth, limit) {
  if (isMeasurable) assert.ok(growth < limit, `it grew by ${growth} bytes`);
}

let gc;

/** Collects what nothing refers to any more, here. */
function collectGarbage() {
  if (!gc) {
    setFlagsFromString('--expose-gc');
    gc = runInNewContext('gc');
  }
  gc();
}

module.exports = { assertGrowth, collectGarbage };
