'use strict';

// The first messages of fresh processes: a tree of processes for each sample.

const TITLES = {
  ping: 'ping-pong',
  turn: 'one message per turn',
  burst: 'a burst',
  slow: 'one message every 2 ms',
};

/** Targets by number of messages. */
const TARGETS = {
  ping: { 1: 1.5, 10: 1.8, 100: 2, 1000: 1.5, 10000: 1.5 },
  turn: { 1: 1.2, 10: 1.2, 100: 1.3, 1000: 1.3, 10000: 1.3 },
  burst: { 1: 1.3, 10: 1.5, 100: 1.7, 1000: 2, 10000: 2 },
  slow: { 1: 1.2, 10: 1.2, 100: 1.2, 1000: 1.2 },
};

const fresh = { group: 'cold', rounds: 9, slices: 1 };

const messages = Object.entries(TARGETS).flatMap(([mode, targets]) =>
  Object.entries(targets).map(([count, target]) => ({
    ...fresh,
    name: `cold-${mode}-${count}`,
    title: `fresh: ${TITLES[mode]}, ${count}`,
    unit: 'message',
    tree: { mode, count: Number(count) },
    measures: [{ what: 'cpu', target }],
  })),
);

const start = {
  ...fresh,
  name: 'fresh-start',
  title: 'fresh: from require() to one message',
  unit: 'tree',
  tree: { mode: 'burst', count: 1 },
  measures: [
    { what: 'startCpu' },
    { what: 'startTime' },
    { what: 'requireCpu', target: 3 },
    { what: 'treeCpu', target: 2 },
  ],
};

const strings = {
  ...fresh,
  name: 'fresh-strings',
  title: 'fresh: 50 messages with 1 MiB as a property',
  unit: 'message',
  tree: { mode: 'strings', count: 50 },
  measures: [{ what: 'cpu', target: 3 }],
};

const sockets = {
  ...fresh,
  name: 'fresh-sockets-100',
  title: 'fresh: 100 sockets',
  unit: 'socket',
  tree: { mode: 'sockets', count: 100, client: 'hold' },
  measures: [{ what: 'cpu' }],
};

const cluster = [
  [20, 1],
  [100, 1],
  [1000, 1.2],
  [10_000, 1.2],
].map(([count, target]) => ({
  ...fresh,
  name: `fresh-cluster-${count}`,
  title: `fresh: cluster, first ${count} connections`,
  unit: 'connection',
  tree: { file: 'cluster.js', count, client: 'greet', isRegistered: true },
  measures: [{ what: 'cpu', target }],
}));

module.exports = [...messages, start, strings, sockets, ...cluster];
