'use strict';

const assert = require('node:assert/strict');
const { MIN_LENGTH, bodyOf, messageIn, messageOf, partsOf } = require('../../lib/long-strings');

const long = (letter) => letter.repeat(MIN_LENGTH);
const asJson = (message) => JSON.parse(JSON.stringify(message));

/** What arrives; null where nothing would travel beside the text. */
function travel(message) {
  const parts = partsOf(message);
  return parts && messageOf(parts);
}

/** Numbers that look random, and are the same each time. */
function numbersFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

/** A value of any kind that JSON knows, or makes something of. */
function randomValue(random, depth = 0) {
  const kinds = [
    () => long('abcü日'[random(5)]),
    () => 'short',
    () => random(1000) / 7,
    () => [null, true, undefined, Number.NaN, () => {}, Symbol('x')][random(6)],
    () => [new Date(0), /x/, Buffer.from('ab'), new Map([[1, 2]]), Object('boxed')][random(5)],
    () => ({ toJSON: () => ({ inner: long('j') }) }),
    () => Object.defineProperty({ a: 1 }, 'get', { get: () => long('g'), enumerable: true }),
    () => Object.defineProperty({}, 'hidden', { value: long('h') }),
    () => ({ __proto__: { inherited: long('i') } }),
    () => JSON.parse(`{"__proto__":${JSON.stringify(long('p'))},"b":${JSON.stringify(long('q'))}}`),
    () => Object.assign(new Array(3).fill(1, 0, 1), { named: long('n') }),
    () => Object.assign(new Array(3), { 1: long('m') }),
    () => Array.from({ length: random(4) }, () => randomValue(random, depth + 1)),
    () => {
      const names = ['a', '1', '', 'toString', 'length', '日'].slice(0, random(6));
      return Object.fromEntries(names.map((name) => [name, randomValue(random, depth + 1)]));
    },
  ];
  return kinds[depth > 3 ? random(5) : random(kinds.length)]();
}

describe('long strings beside a JSON text', () => {
  it('arrive in their places, whatever else the message holds', () => {
    const random = numbersFrom(17);
    let n = 0;
    for (let i = 0; i < 2000; i++) {
      const message = { first: randomValue(random), list: [randomValue(random)] };
      const received = travel(message);
      if (received === null) continue;
      n++;
      assert.deepEqual(received, asJson(message));
      assert.equal(JSON.stringify(received), JSON.stringify(message), 'the order of names');
    }
    assert.ok(n > 200, `${n} of them had long strings`);
  });

  it('leave the text: it holds none of their characters', () => {
    const [text, ...strings] = partsOf({
      id: 1,
      deep: { list: ['x', long('a')] },
      data: long('b'),
    });
    assert.equal(
      text,
      '[[["deep","list","1"],["data"]],{"id":1,"deep":{"list":["x",""]},"data":""}]',
    );
    assert.deepEqual(strings, [long('a'), long('b')]);
  });

  it('are not looked for in a message that has none, is one, or hides them', () => {
    for (const message of [{ a: 1 }, 'x', 7, null, long('a'), { toJSON: () => long('a') }]) {
      assert.equal(partsOf(message), null);
    }
  });

  it('change nothing of what the program sent', () => {
    const message = Object.freeze({ data: long('a'), list: Object.freeze([long('b')]) });
    assert.deepEqual(travel(message), message);
  });

  it('are found in a bounded time', () => {
    const wide = { many: Array.from({ length: 5000 }, (_, i) => i), data: long('a') };
    assert.equal(partsOf({ ...wide, many: [wide.many, wide.many] })?.length, 2);
    let deep = long('a');
    for (let i = 0; i < 20; i++) deep = { deep };
    assert.equal(partsOf(deep), null);
  });

  it('of a peer that makes them up are refused, and change no prototype', () => {
    const bad = [
      ['{}', 'x'],
      ['null', 'x'],
      ['[]', 'x'],
      ['[[],{}]', 'x'],
      ['[[["a"]],{}]', 'x'],
      ['[[["a","b"]],{"a":null}]', 'x'],
      ['[[["__proto__","x"]],{}]', 'x'],
      ['[[["constructor"]],{}]', 'x'],
      ['[[["a"]],{"a":""}]'],
      ['[7,{"a":""}]', 'x'],
      ['[["a"],{"a":""}]', 'x'],
    ];
    for (const parts of bad) assert.throws(() => messageOf(parts), TypeError, parts[0]);
    assert.equal({}.x, undefined);
  });
});

describe('the body of a message with long strings', () => {
  const whole = (message) => {
    const parts = bodyOf(partsOf(message));
    const size = (part) => Math.ceil(part.length / 16) * 16;
    const body = parts.flatMap((part, i) =>
      i === parts.length - 1 ? [part] : [part, Buffer.alloc(size(part) - part.length)],
    );
    return Buffer.concat(body);
  };
  const message = { a: long('a'), ü: 'ü', list: [long('日'), long('\ud800')] };

  it('is read as it was written', () => {
    assert.deepEqual(messageIn(whole(message)), message);
  });

  it('is refused wherever it is cut, and with anything behind it', () => {
    const body = whole({ a: long('a') });
    for (const size of [0, 1, 15, 16, 23, 24, 40, body.length - 1]) {
      assert.throws(() => messageIn(body.subarray(0, size)), { name: /RangeError|SyntaxError/ });
    }
    assert.throws(() => messageIn(Buffer.concat([body, Buffer.alloc(1)])), RangeError);
  });

  it('is refused with any other number, size or encoding', () => {
    const body = whole({ a: long('a') });
    for (const [at, value] of [
      [0, 0],
      [0, 2],
      [0, 0xffffffff],
      [4, 0],
      [4, 0xffffffff],
      [16, 1],
      [16, 0xffffffff],
      [20, 0],
      [20, 3],
      [20, 4],
    ]) {
      const changed = Buffer.from(body);
      changed.writeUint32LE(value, at);
      if (at === 20 && value === 4) assert.notDeepEqual(messageIn(changed), { a: long('a') });
      else assert.throws(() => messageIn(changed), Error, `${value} at ${at}`);
    }
  });
});
