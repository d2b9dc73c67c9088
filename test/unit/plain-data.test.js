'use strict';

const assert = require('node:assert/strict');
const v8 = require('node:v8');
const vm = require('node:vm');
const { codecs, decode, encodingOf, JSON_TEXT } = require('../../lib/serialization');
const { isPlainData } = require('../../lib/plain-data');

const ROUNDS = 30_000;

/** A small generator of random numbers, so that a failure can be repeated: xorshift. */
function randomSource(seed) {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const STRINGS = [
  '',
  'a',
  '"',
  '\\',
  '\n',
  '\u0000',
  '\u2028',
  'ü',
  '日本',
  '😀',
  '\ud800',
  '\udc00x',
  '__proto__',
];
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  1.5,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  1e21,
  5e-324,
  1.7e308,
  0.1 + 0.2,
];
const ODD_NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const KEYS = [
  'a',
  'b',
  '10',
  '2',
  '-1',
  '01',
  '4294967295',
  '__proto__',
  'constructor',
  'toJSON',
  'length',
  '',
  '\ud800',
];

function withGetter(object, key, value) {
  return Object.defineProperty(object, key, {
    get: () => value,
    enumerable: true,
    configurable: true,
  });
}

/** Values that JSON would change, or that V8 refuses: one in twelve. */
function oddValue(random, shared) {
  const makers = [
    () => undefined,
    () => 10n,
    () => Symbol('s'),
    () => () => {},
    () => new Date(0),
    () => new Map([[1, 2]]),
    () => Object.create(null, { a: { value: 1, enumerable: true } }),
    () =>
      new (class Point {
        x = 1;
      })(),
    () => Object.assign(new Array(3), { 0: 1, 2: 3 }), // with a hole
    () => Object.assign([1], { extra: 1 }),
    () => withGetter({}, 'a', 1),
    () => withGetter([1], '0', 1),
    () => shared,
    () => new Proxy({ a: 1 }, {}),
    () => Object(5),
    () => Object('text'),
    () => /x/g,
    () => new Uint8Array(2),
    () => new Error('e'),
    () => vm.runInThisContext('(function () { return arguments; })(1)'),
    () => vm.runInNewContext('({ a: [1] })'),
    () => Object.defineProperty({ b: 1 }, 'a', { value: 1, enumerable: false }),
    () => ({ [Symbol('s')]: 1, a: 2 }),
    () => 'x'.repeat(2000),
    () => ODD_NUMBERS[random(ODD_NUMBERS.length)],
    () => Object.setPrototypeOf([1], null),
  ];
  return makers[random(makers.length)]();
}

function randomValue(random, shared, depth) {
  const kind = random(depth > 5 ? 5 : 9);
  if (random(40) === 0) return oddValue(random, shared);
  if (kind === 0) return null;
  if (kind === 1) return random(2) === 0;
  if (kind === 2) return NUMBERS[random(NUMBERS.length)];
  if (kind === 3) return (random(1 << 20) - (1 << 19)) / (1 + random(1000));
  if (kind === 4) return STRINGS[random(STRINGS.length)] + STRINGS[random(STRINGS.length)];
  if (kind < 7) {
    return Array.from({ length: random(6) }, () => randomValue(random, shared, depth + 1));
  }
  const object = {};
  for (let i = random(6); i > 0; i--) {
    const value = randomValue(random, shared, depth + 1);
    const descriptor = { value, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(object, KEYS[random(KEYS.length)], descriptor);
  }
  return object;
}

/** What arrives, or the error, in 'advanced'. */
function travelled(message) {
  try {
    const payload = codecs.advanced.payloadOf(message);
    return {
      encoding: encodingOf(message, payload),
      value: decode(encodingOf(message, payload), payload),
    };
  } catch (error) {
    return { error: error.name };
  }
}

/** What V8's serializer makes of it, as Node's own codec uses it. */
function cloned(message) {
  try {
    return { value: v8.deserialize(v8.serialize(message)) };
  } catch (error) {
    return { error: error.name };
  }
}

describe('plain data', () => {
  it(`arrives exactly as V8 would bring it, in ${ROUNDS} random values`, () => {
    const random = randomSource(20_251_125);
    const shared = { shared: true };
    let asJson = 0;
    for (let i = 0; i < ROUNDS; i++) {
      const message = randomValue(random, shared, 0);
      if (!isPlainData(message)) continue;
      asJson++;
      const { encoding, value, error } = travelled(message);
      assert.equal(error, undefined);
      assert.equal(encoding === JSON_TEXT || typeof message === 'string', true);
      const expected = cloned(message);
      assert.deepStrictEqual(value, expected.value, `value ${i}`);
      assert.deepEqual(keysOf(value), keysOf(expected.value), `keys of value ${i}`);
    }
    assert.ok(asJson > ROUNDS / 3, `only ${asJson} were plain`);
    assert.ok(asJson < ROUNDS, 'none was odd');
  });

  /** Own keys in order, all the way down: deepStrictEqual() does not look at their order. */
  function keysOf(value) {
    if (value === null || typeof value !== 'object') return [];
    return Reflect.ownKeys(value).map((key) => [key, keysOf(value[key])]);
  }

  it('is nothing that JSON would change', () => {
    const cycle = {};
    cycle.self = cycle;
    const shared = {};
    const values = [
      undefined,
      -0,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      10n,
      Symbol('s'),
      () => {},
      { a: undefined },
      { a: -0 },
      [Number.NaN],
      [undefined],
      new Array(3),
      Object.assign([1], { index: 0 }),
      'x'.match(/x/),
      cycle,
      { a: shared, b: shared },
      [shared, shared],
      Object.create(null),
      Object.create({ a: 1 }),
      new (class extends Array {})(),
      new Date(),
      new Map(),
      Buffer.from('x'),
      withGetter({}, 'a', 1),
      withGetter([1], '0', 1),
      Object.defineProperty({}, '__proto__', { value: 1, enumerable: true }),
      { toJSON: () => 1 },
      new Proxy({}, {}),
      vm.runInNewContext('({})'),
      Object(1),
      Object('s'),
      new Error('e'),
    ];
    for (const [i, value] of values.entries()) assert.equal(isPlainData(value), false, `${i}`);
  });

  it('has limits in depth and size, where V8 is as good', () => {
    const nest = (depth) => (depth === 0 ? [] : [nest(depth - 1)]);
    assert.equal(isPlainData(nest(5)), true);
    for (const value of [
      nest(50),
      Array.from({ length: 1000 }, () => 1),
      Array.from({ length: 60 }, () => ({})),
      'x'.repeat(5000),
    ]) {
      assert.equal(isPlainData(value), false);
    }
  });

  it('runs nothing of the user', () => {
    let calls = 0;
    const trap = () => {
      calls++;
      return 1;
    };
    const object = Object.defineProperty({}, 'a', { get: trap, enumerable: true });
    isPlainData(object);
    isPlainData([object]);
    isPlainData(new Proxy({}, { ownKeys: trap, get: trap, getPrototypeOf: trap }));
    assert.equal(calls, 0);
  });

  it('is nothing while somebody has put a toJSON() on a prototype', () => {
    Object.defineProperty(Object.prototype, 'toJSON', { value: () => 1, configurable: true });
    try {
      assert.equal(isPlainData({ a: 1 }), false);
    } finally {
      delete Object.prototype.toJSON;
    }
    assert.equal(isPlainData({ a: 1 }), true);
  });
});
