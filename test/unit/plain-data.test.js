'use strict';

const assert = require('node:assert/strict');
const { inspect } = require('node:util');
const v8 = require('node:v8');
const vm = require('node:vm');
const { codecs, decode, encodingOf, JSON_TEXT } = require('../../lib/serialization');
const { isPlainData } = require('../../lib/plain-data');
const { isLong } = require('../helpers/scale');

const ROUNDS = isLong ? 30_000 : 5000;

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

/** Objects that V8 knows by what is in them, whatever their prototype is. */
const KINDS = {
  Map: () => new Map([[1, 2]]),
  Set: () => new Set([1]),
  WeakMap: () => new WeakMap(),
  WeakSet: () => new WeakSet(),
  Date: () => new Date(0),
  RegExp: () => /x/g,
  Error: () => new TypeError('e'),
  Promise: () => Promise.resolve(1),
  Number: () => Object(5),
  String: () => Object('ab'),
  Boolean: () => Object(true),
  BigInt: () => Object(1n),
  Symbol: () => Object(Symbol('s')),
  arguments: () => vm.runInThisContext('(function () { return arguments; })(1, 2)'),
  'strict arguments': () =>
    vm.runInThisContext('(function () { "use strict"; return arguments; })(1)'),
  ArrayBuffer: () => new ArrayBuffer(4),
  SharedArrayBuffer: () => new SharedArrayBuffer(4),
  DataView: () => new DataView(new ArrayBuffer(4)),
  Uint8Array: () => new Uint8Array(2),
  BigInt64Array: () => new BigInt64Array(2),
  Buffer: () => Buffer.from('ab'),
  generator: () => (function* generate() {})(),
  'Map iterator': () => new Map().keys(),
  'Set iterator': () => new Set().values(),
};

/** The same, but util.types does not know them. */
const OTHER_KINDS = {
  WeakRef: () => new WeakRef({}),
  FinalizationRegistry: () => new FinalizationRegistry(() => {}),
  Intl: () => new Intl.NumberFormat('en'),
  'Array iterator': () => [1].values(),
  'String iterator': () => 'a'[Symbol.iterator](),
  'wasm memory': () => new WebAssembly.Memory({ initial: 1 }),
  URL: () => new URL('http://localhost/'),
  KeyObject: () => require('node:crypto').createSecretKey(Buffer.from('ab')),
};

const PROTOTYPES = [Object.prototype, Array.prototype, null, undefined];

/** One of these, with any prototype (undefined: its own), and perhaps with properties of its own. */
function anyOfKind(random) {
  const all = { ...KINDS, ...OTHER_KINDS };
  const names = Object.keys(all);
  const name = names[random(names.length)];
  const object = all[name]();
  const prototype = PROTOTYPES[random(PROTOTYPES.length)];
  if (prototype !== undefined) Object.setPrototypeOf(object, prototype);
  if (random(2) === 0 && name in KINDS) object.extra = random(10);
  if (random(4) === 0) Object.defineProperty(object, Symbol.toStringTag, { value: 'Object' });
  return object;
}

/** An array with holes and properties. */
function oddArray(random) {
  const array = new Array(random(4));
  for (let i = random(4); i > 0; i--) array[random(5)] = i;
  for (let i = random(4); i > 0; i--) array[`name${random(4)}`] = i;
  return array;
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
    () => anyOfKind(random),
    () => oddArray(random),
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

  it('is no object that V8 knows by what is in it, whatever its prototype and properties are', () => {
    const random = randomSource(7);
    for (let i = 0; i < 5000; i++) {
      const message = [{ a: anyOfKind(random) }, [anyOfKind(random)], anyOfKind(random)][i % 3];
      assert.equal(isPlainData(message), false, `value ${i}: ${inspect(message)}`);
    }
  });

  it('is an array only if all its elements are there and nothing else', () => {
    const random = randomSource(11);
    let asJson = 0;
    for (let i = 0; i < 5000; i++) {
      const message = oddArray(random);
      if (!isPlainData(message)) continue;
      asJson++;
      const { value } = travelled(message);
      assert.deepStrictEqual(value, cloned(message).value);
      assert.deepEqual(keysOf(value), keysOf(cloned(message).value));
    }
    assert.ok(asJson > 50, `only ${asJson} were plain`);
  });

  it('calls nothing of the message while it looks at it', () => {
    let calls = 0;
    const count = () => {
      calls++;
      return 'Object';
    };
    const property = { get: count, enumerable: true };
    const messages = [
      Object.defineProperty({ a: 1 }, Symbol.toStringTag, property),
      Object.defineProperty({ a: 1 }, 'b', property),
      Object.defineProperty([1], '1', property),
      new Proxy(Buffer.from('ab'), { getPrototypeOf: count, get: count, ownKeys: count }),
      new Proxy({ a: 1 }, { getPrototypeOf: count, get: count, ownKeys: count }),
    ];
    for (const message of messages) isPlainData({ a: message });
    assert.equal(calls, 0);
    assert.equal(travelled(messages[3]).error, cloned(messages[3]).error);
    assert.equal(calls, 0);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    assert.equal(travelled(proxy).error, cloned(proxy).error);
    assert.equal(travelled(Object.create(Buffer.prototype)).error, undefined);
  });

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
