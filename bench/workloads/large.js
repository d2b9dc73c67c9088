'use strict';

// Large payloads in one direction.

const { oneWay } = require('../lib/stream');

const KIB = 1024;
const MIB = 1024 * KIB;

/** ASCII text of that many characters; two of them, in turn. */
function strings(size) {
  const made = [0, 1].map((start) => Buffer.alloc(size, `${start}0123456789abcdef`).toString());
  return (i) => made[i & 1];
}

function buffers(size) {
  const made = [0, 1].map((start) => Buffer.alloc(size, `${start}0123456789abcdef`));
  return (i) => made[i & 1];
}

const isSameString = (message, i, make) => message.length === make(i).length && message === make(i);

const STEP = 1021; // a prime: the pattern repeats every 17 bytes

/** Without a copy, which would cost more than what is measured. */
function isSameInSteps(message, wanted) {
  for (let at = 0; at < wanted.length; at += STEP) {
    if (message[at] !== wanted[at]) return false;
  }
  return true;
}

/** Its ends always; what lies between of the first two. */
function isSameBuffer(message, i, make) {
  const wanted = make(i);
  const { length } = wanted;
  if (message.length !== length || message[length - 1] !== wanted[length - 1]) return false;
  return message[0] === wanted[0] && (i > 1 || isSameInSteps(message, wanted));
}

const large = (name, title, traffic, measures, extra) =>
  oneWay({
    name,
    title,
    group: 'large',
    traffic: { burst: 1, window: 8, ...traffic },
    measures,
    count: 8,
    ...extra,
  });

/** V8 needs some hundred messages to find the way to collect dead Buffers that a stream of them lets it use. */
const longer = { sliceTime: 1000 };
const advanced = { forkOptions: { serialization: 'advanced' }, subjects: ['port'] };

module.exports = [
  large('string-1m', 'strings of 1 MiB', { make: strings(MIB), isSame: isSameString }, [
    { what: 'cpu', target: 8 },
  ]),
  large(
    'string-16m',
    'strings of 16 MiB',
    { make: strings(16 * MIB), isSame: isSameString, window: 2 },
    [{ what: 'cpu', target: 8 }],
    { count: 2, fixed: true },
  ),
  large(
    'buffer-64k',
    "Buffers of 64 KiB, 'advanced'",
    { make: buffers(64 * KIB), isSame: isSameBuffer, window: 64 },
    [{ what: 'cpu' }],
    { ...advanced, count: 100, ...longer },
  ),
  large(
    'buffer-1m',
    "Buffers of 1 MiB, 'advanced'",
    { make: buffers(MIB), isSame: isSameBuffer },
    [{ what: 'cpu', target: 3.2 }],
    { ...advanced, ...longer },
  ),
  large(
    'buffer-64m',
    "Buffers of 64 MiB, 'advanced'",
    { make: buffers(64 * MIB), isSame: isSameBuffer, window: 2 },
    [{ what: 'cpu', target: 5 }],
    { ...advanced, count: 2, sliceTime: 3000, slices: 1, quickCount: 2 },
  ),
];
