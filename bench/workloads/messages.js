'use strict';

// Small and medium messages in one direction.

const { isDeepStrictEqual } = require('node:util');
const { makeDocument, makeObject } = require('../lib/samples');
const { oneWay } = require('../lib/stream');

const WINDOW = 4000;

/** Order always; everything of each 64th. */
function isSameObject(message, i, make) {
  return message.id === i && (i % 64 !== 0 || isDeepStrictEqual(message, make(i)));
}

const STRINGS = Array.from({ length: 1000 }, (_, i) => `a short string, number ${i}`);
const makeString = (i) => STRINGS[i % STRINGS.length];
const isSame = (message, i, make) => message === make(i);

const objects = { make: makeObject, isSame: isSameObject, window: WINDOW };
const RIVALS = ['coalescing', 'port'];

const bursts = (extra) => ({
  group: 'messages',
  traffic: { ...objects, burst: 100, ...extra },
  count: 10_000,
});

module.exports = [
  {
    ...bursts(),
    name: 'objects-burst-down',
    title: 'objects, bursts of 100, to the child',
    subjects: [...RIVALS, 'stock again'],
    measures: [{ what: 'cpu', target: 4.5 }, { what: 'rate' }],
  },
  {
    ...bursts(),
    name: 'objects-burst-up',
    title: 'objects, bursts of 100, to the parent',
    direction: 'up',
    subjects: RIVALS,
    measures: [{ what: 'cpu', target: 4.5 }],
  },
  {
    ...bursts({ hasCallbacks: true }),
    name: 'objects-callback-down',
    title: 'the same with callbacks, to the child',
    measures: [{ what: 'cpu', target: 3 }],
  },
  {
    ...bursts({ hasCallbacks: true }),
    name: 'objects-callback-up',
    title: 'the same with callbacks, to the parent',
    direction: 'up',
    measures: [{ what: 'cpu', target: 3 }],
  },
  {
    ...bursts({ burst: 1 }),
    name: 'objects-tick-down',
    title: 'one object per tick, to the child',
    subjects: RIVALS,
    measures: [{ what: 'cpu', target: 1.8 }],
  },
  {
    ...bursts({ burst: 1 }),
    name: 'objects-tick-up',
    title: 'one object per tick, to the parent',
    direction: 'up',
    measures: [{ what: 'cpu', target: 1.8 }],
  },
  {
    ...bursts({ make: makeString, isSame }),
    name: 'strings',
    title: 'short strings, bursts of 100',
    subjects: RIVALS,
    measures: [{ what: 'cpu', target: 9 }],
  },
  {
    ...bursts({ make: (i) => i * 1.5, isSame }),
    name: 'numbers',
    title: 'numbers, bursts of 100',
    subjects: RIVALS,
    measures: [{ what: 'cpu', target: 11 }],
  },
  {
    ...bursts(),
    name: 'objects-advanced',
    title: "objects, bursts of 100, 'advanced'",
    forkOptions: { serialization: 'advanced' },
    measures: [{ what: 'cpu', target: 7 }],
  },
  {
    ...bursts({ make: makeDocument, burst: 10, window: 200 }),
    name: 'documents',
    title: 'documents of 4 KiB, bursts of 10',
    count: 500,
    subjects: RIVALS,
    measures: [{ what: 'cpu', target: 1.3 }],
  },
].map(oneWay);
