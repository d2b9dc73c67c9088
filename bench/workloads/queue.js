'use strict';

// Very many messages queued in one tick.

const { oneWay } = require('../lib/stream');

const traffic = {
  make: (i) => ({ id: i, type: 'update', name: 'sensor-17', value: 21.5 }),
  isSame: (message, i) => message.id === i,
  window: 4 << 20,
  burst: Number.POSITIVE_INFINITY,
};
const workload = oneWay({
  name: 'queue-million',
  title: 'a million objects queued in one tick',
  group: 'queue',
  traffic,
  isFresh: true,
  fixed: true,
  count: 1_000_000,
  quickCount: 100_000,
  measures: [{ what: 'time', target: 4 }, { what: 'stall' }, { what: 'memory', target: 300 }],
});

/** Bytes that a message takes while it is queued, and how long the loop stood still. */
async function parent(context, count) {
  global.gc?.();
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const done = workload.parent(context, count);
  const stall = performance.now() - start;
  const memory = (process.memoryUsage().rss - before) / count;
  await done;
  return { stall, memory };
}

module.exports = { ...workload, parent };
