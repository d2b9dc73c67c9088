'use strict';

const assert = require('node:assert/strict');
const v8 = require('node:v8');
const serialization = require('../../lib/serialization');

const { BYTES, JSON_TEXT, LATIN1, UTF8, UTF16, V8_VALUE, codecs, decode, decodeJoined } =
  serialization;

/** [encoding, payload] of a message. */
function encode(codec, message) {
  const payload = codec.payloadOf(message);
  return [serialization.encodingOf(message, payload), payload];
}

/** What comes out at the other end; a string is what the addon makes of its bytes again. */
function travelled(codec, message) {
  return decode(...encode(codec, message));
}

describe("the codec 'json'", () => {
  const { json } = codecs;

  it('sends long strings as they are and everything else as JSON text', () => {
    const long = 'x'.repeat(5000);
    assert.deepEqual(encode(json, long), [LATIN1, long]);
    const strings = ['', 'x', '"', 'a\\\n', '\u0000\u007f\u0085\u2028', 'ü日😀', '\ud800 \udc00'];
    const numbers = [1, -0, 1.5e300, 5e-324, Number.NaN, Number.NEGATIVE_INFINITY, 0.1 + 0.2];
    for (const message of [
      ...strings,
      ...numbers,
      true,
      null,
      {},
      [],
      { a: [1] },
      Buffer.from('x'),
    ]) {
      const [encoding, text] = encode(json, message);
      assert.equal(encoding, JSON_TEXT);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(message)));
      assert.ok(!text.includes('\n'), text);
    }
  });

  it('gives back what JSON keeps', () => {
    for (const message of ['', 'ü', 1.5, false, null, { a: { b: [null, 'x'] } }]) {
      assert.deepEqual(travelled(json, message), message);
    }
  });

  it('refuses what has no JSON text', () => {
    const noText = { code: 'ERR_FORKWIRE_EMPTY_MESSAGE' };
    assert.throws(() => json.payloadOf({ toJSON() {} }), noText);
    assert.throws(() => json.payloadOf({ toJSON: () => () => {} }), noText);
  });
});

describe("the codec 'advanced'", () => {
  const { advanced } = codecs;

  it('sends long strings and Buffers as they are, plain data as JSON, the rest as V8 values', () => {
    const buffer = Buffer.from('x');
    const long = 'x'.repeat(5000);
    assert.deepEqual(encode(advanced, long), [LATIN1, long]);
    assert.deepEqual(encode(advanced, buffer), [BYTES, buffer]);
    for (const message of ['x', 1, null, true, [], { a: [1, { b: null }] }]) {
      assert.deepEqual(encode(advanced, message), [JSON_TEXT, JSON.stringify(message)]);
    }
    for (const message of [-0, Number.NaN, {}, [buffer], new Uint8Array(1), new Map()]) {
      assert.equal(encode(advanced, message)[0], V8_VALUE);
    }
  });

  it("writes what Node's own v8 module can read where there are no host objects", () => {
    const message = { map: new Map([[1, { a: [1n, undefined] }]]), date: new Date(5) };
    assert.deepEqual(v8.deserialize(advanced.payloadOf(message)), message);
  });

  it('marks views with the tag 0, as in stock', () => {
    const reader = new v8.DefaultDeserializer(advanced.payloadOf(new Uint8Array([5, 6])));
    reader.readHeader();
    reader._readHostObject = function readHostObject() {
      return { tag: this.readUint32() };
    };
    assert.deepEqual(reader.readValue(), { tag: 0 });
  });

  it('gives views back as what they were, on memory of their own', () => {
    const memory = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const message = [
      Buffer.from(memory.buffer, 1, 3),
      new Uint16Array(memory.buffer, 2, 2),
      new DataView(memory.buffer, 3, 4),
      new Float32Array(memory.buffer, 4, 1),
    ];
    const answer = travelled(advanced, message);
    assert.deepEqual(answer, message);
    memory.fill(0);
    assert.notDeepEqual(answer[0], message[0]);
  });
});

describe('decode()', () => {
  it('leaves texts and bytes alone', () => {
    for (const encoding of [LATIN1, UTF8, UTF16]) assert.equal(decode(encoding, '{"a"'), '{"a"');
    const bytes = Buffer.from('x');
    assert.equal(decode(BYTES, bytes), bytes);
  });

  it('throws for what is no JSON and no V8 value', () => {
    for (const text of ['', '{', '{"a":1}x', 'undefined']) {
      assert.throws(() => decode(JSON_TEXT, text), SyntaxError);
    }
    for (const bytes of ['', '00', 'ff0f', 'ff0f6f', 'ff0f5c63', 'ffff0f']) {
      assert.throws(() => decode(V8_VALUE, Buffer.from(bytes, 'hex')), Error, bytes);
    }
  });

  it('throws for a text that no string can hold', () => {
    assert.throws(() => decode(JSON_TEXT, undefined), TypeError);
    assert.throws(() => decode(LATIN1, undefined), TypeError);
  });
});

describe('decodeJoined()', () => {
  /** What is made of the texts, and what it throws. */
  function joined(texts) {
    const whole = [];
    const sizes = () => texts.map(({ length }) => length);
    try {
      const messages = decodeJoined(`[${texts.join(',')}]`, texts.length, sizes, whole);
      return { messages, error: null };
    } catch (error) {
      return { messages: whole, error };
    }
  }

  it('gives one message a text', () => {
    for (const messages of [[1], [1, 'a,b', [1, 2], { a: [] }, null]]) {
      const texts = messages.map((message) => JSON.stringify(message));
      assert.deepEqual(joined(texts), { messages, error: null });
    }
  });

  it('gives those before a broken one, and throws', () => {
    for (const [texts, whole] of [
      [['1', '{'], [1]],
      [['{', '1'], []],
      [['1', 'x', '2'], [1]],
      [['1 2'], []],
    ]) {
      const { messages, error } = joined(texts);
      assert.deepEqual(messages, whole);
      assert.ok(error instanceof SyntaxError);
    }
  });

  it('throws when broken ones make a whole one, or one looks like two', () => {
    for (const texts of [['{"a":1', '"b":2}'], ['"a', 'b"'], ['[1', '2]'], ['1,2'], ['1,2', '3']]) {
      assert.ok(joined(texts).error instanceof SyntaxError, texts.join());
    }
  });
});
