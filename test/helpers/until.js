'use strict';

// Waiting for what has no event: polls a condition, for a bounded time.

const { setTimeout: wait } = require('node:timers/promises');
const { PATIENCE_MS } = require('./patience');

const STEP_MS = 5;

/** Resolves with the first truthy value of `condition()`; rejects with `what` when none comes in time. */
async function until(condition, what = condition.toString(), limit = PATIENCE_MS) {
  const end = performance.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`this did not become true: ${what}`);
    await wait(STEP_MS);
  }
}

module.exports = { until };
