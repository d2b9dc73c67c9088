'use strict';

const assert = require('node:assert/strict');

// A sanitizer keeps what was freed for a while.
const isMeasurable = process.env.ASAN_OPTIONS === undefined;

/** That a process grew by less than `limit`; both in bytes. */
function assertGrowth(growth, limit) {
  if (isMeasurable) assert.ok(growth < limit, `it grew by ${growth} bytes`);
}

module.exports = { assertGrowth };
