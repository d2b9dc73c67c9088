'use strict';

// Nothing that was accepted is lost because the process ends: before it does, every channel is written out,
// within limits.

const STALL_MS = 500; // without a byte written or a handle landed
const TOTAL_MS = 5000;

let isInstalled = false;

/** Has `flushAll(stallMs, totalMs)` run when the process exits. */
function flushAtExit(flushAll) {
  if (isInstalled) return;
  isInstalled = true;
  process.on('exit', () => flushAll(STALL_MS, TOTAL_MS));
}

module.exports = { flushAtExit };
