'use strict';

// Messages there and back: every type of value, large ones, order.

const assert = require('node:assert/strict');

const TEXTS = ['', 'ASCII', 'é ü ñ', '漢字 ĀĂ', '😀 \u2028', 'a\nb\r\n\0"\\', '\ud800'];
const LARGE = 'Zeichen für Zeichen '.repeat(52_429); // a little more than 1 MB

const values = {
  json: [
    ...TEXTS,
    ...[0, -1, 1.5, 2 ** 53, 1e300, true, false, null],
    [],
    {},
    [1, [2, [3, [null, { deep: [{}] }]]]],
    { ключ: 'значение', 'with space': { a: { b: { c: 'd' } } } },
    { large: LARGE },
  ],
  advanced: [
    new Map([[{ key: 1 }, new Set([1n, 'two'])]]),
    { big: 2n ** 100n, date: new Date(86_400_000), expression: /^a+$/giu },
    Buffer.from('a Buffer'),
    [new Uint8Array([1, 2, 3]), new Float64Array([0.1, -0]), new DataView(new ArrayBuffer(3))],
    new Uint16Array([1, 2, 3]).buffer,
    { a: undefined, list: [undefined, NaN, -0, Infinity] },
    new TypeError('an error'),
    Buffer.alloc(1_000_000, 'large'),
  ],
};

async function run({ child, ask, next, serialization }) {
  const all = [...values.json, ...(serialization === 'advanced' ? values.advanced : [])];
  for (const value of all) {
    assert.deepStrictEqual((await ask({ do: 'echo', value })).value, value);
  }
  const got = [];
  for (let i = 0; i < 500; i++) child.send({ do: 'echo', value: i });
  while (got.length < 500) got.push((await next()).value);
  assert.deepEqual(
    got,
    got.map((_, i) => i),
  );
}

module.exports = { name: 'messages', run };
