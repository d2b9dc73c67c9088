'use strict';

// Bytes of a hostile peer, through core, binding and lib/ in this very process: streams that were recorded and then
// changed, floods, and messages made to hurt whoever decodes them.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { feed, frame, hello, u64s } = require('../helpers/bytes-channel');
const { assertGrowth } = require('../helpers/memory');
const isLong = process.env.FORKWIRE_TEST_LONG === '1';

const RECORDED = path.join(__dirname, '../recorded/v1');
const MIB = 1 << 20;
const KIND = { USER: 3, INTERNAL: 4, CREDIT: 5, LANDED: 6, COUNTS: 12, END: 13 };
const ENCODING = { JSON: 1, LATIN1: 2, UTF8: 3, UTF16: 4, V8: 5, BYTES: 6 };

const ENDS = /^ERR_FORKWIRE_(BAD_MESSAGE|PROTOCOL|MESSAGE_TOO_LARGE|VERSION)$/;

const bytesOf = ({ hex, deflated }) =>
  hex === undefined ? zlib.inflateSync(Buffer.from(deflated, 'base64')) : Buffer.from(hex, 'hex');

const recordings = fs.readdirSync(RECORDED).map((name) => {
  const { serialization, chunks } = JSON.parse(fs.readFileSync(path.join(RECORDED, name)));
  return { name, serialization, bytes: Buffer.concat(chunks.map(bytesOf)) };
});

/** Numbers that a seed gives: 0 to count - 1. */
function numbersFrom(seed) {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n;
  return (count) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number((state >> 33n) % BigInt(count));
  };
}

/** One to four changes: bytes set, bits turned, parts cut out, doubled or moved, the end cut off. */
function mutate(bytes, choose) {
  let result = Buffer.from(bytes.subarray(0, 4096));
  for (let n = 1 + choose(4); n > 0; n--) {
    const at = choose(result.length + 1);
    const size = 1 + choose(40);
    const part = result.subarray(at, at + size);
    const what = choose(6);
    if (what === 0) result.subarray(at, at + 1).fill(choose(256));
    else if (what === 1 && at < result.length) result[at] ^= 1 << choose(8);
    else if (what === 2)
      result = Buffer.concat([result.subarray(0, at), result.subarray(at + size)]);
    else if (what === 3)
      result = Buffer.concat([result.subarray(0, at), part, result.subarray(at)]);
    else if (what === 4) result = result.subarray(0, at + 1);
    else result.subarray(at, at + 8).fill(choose(2) * 255);
  }
  return result;
}

/** The stream in pieces of any size. */
function cut(bytes, choose) {
  const pieces = [];
  for (let at = 0; at < bytes.length; ) {
    const size = choose(2) === 0 ? bytes.length : 1 + choose(100);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

describe('a stream of bytes', () => {
  const rounds = isLong ? 400 : 20;
  it(`that was recorded and changed ends the channel at most (${rounds} times each)`, async () => {
    for (const { name, serialization, bytes } of recordings) {
      for (let seed = 1; seed <= rounds; seed++) {
        const choose = numbersFrom(seed);
        const { errors } = await feed(cut(mutate(bytes, choose), choose), { serialization });
        const where = `${name}, seed ${seed}`;
        assert.ok(errors.length <= 1, where);
        for (const { code } of errors) assert.match(code, ENDS, where);
      }
    }
  });

  it('that ends anywhere is an end and no error', async () => {
    const { bytes, serialization } = recordings.find(({ name }) => name === 'json.child.json');
    for (let size = 0; size < 300; size += 7) {
      const { errors } = await feed([bytes.subarray(0, size)], { serialization });
      assert.deepEqual(errors, []);
    }
  });

  it('comes through one byte at a time', async () => {
    const texts = ['one', 'two', 'three'].map((text) =>
      frame(KIND.USER, Buffer.from(text), { encoding: ENCODING.LATIN1 }),
    );
    const bytes = Buffer.concat([hello(), ...texts]);
    const { messages, errors } = await feed([...bytes].map((byte) => Buffer.of(byte)));
    assert.deepEqual(messages, ['one', 'two', 'three']);
    assert.deepEqual(errors, []);
  });

  const FLOOD = 8 * MIB;
  const floods = {
    'counts of servers that nobody knows': (i) =>
      frame(KIND.COUNTS, u64s(...Array.from({ length: 2048 }, (_, j) => i * 4096 + j))),
    'internal messages': () =>
      frame(KIND.INTERNAL, Buffer.from('{"cmd":"NODE_X"}'), { encoding: ENCODING.JSON }),
    'credit that means nothing': () => frame(KIND.CREDIT, u64s(2 ** 40, 2 ** 40)),
    'messages of the largest frames': () =>
      frame(KIND.USER, Buffer.alloc(262_144, 'x'), { encoding: ENCODING.LATIN1 }),
  };

  /** About FLOOD bytes of such frames; `onChunk` is called between. */
  function* flood(make, onChunk) {
    yield hello();
    const each = Math.ceil(262_144 / make(0).length);
    for (let size = 0; size < FLOOD; ) {
      const chunk = Buffer.concat(Array.from({ length: each }, (_, i) => make(size + i)));
      size += chunk.length;
      onChunk();
      yield chunk;
    }
  }

  for (const [what, make] of Object.entries(floods)) {
    it(`that floods with ${what} leaves memory as it is`, async () => {
      const { rss } = process.memoryUsage();
      let grown = 0;
      const onChunk = () => {
        grown = Math.max(grown, process.memoryUsage().rss - rss);
      };
      const { errors } = await feed(flood(make, onChunk), { keeps: false });
      assert.deepEqual(errors, []);
      assertGrowth(grown, 128 * MIB); // what V8 has not collected yet
    });
  }
});

describe('a message made to hurt', () => {
  const user = (body, encoding = ENCODING.JSON) =>
    frame(KIND.USER, Buffer.isBuffer(body) ? body : Buffer.from(body), { encoding });
  const behind = user('"behind"');

  it('nests deeply: as deep as it is, or the channel ends', async () => {
    const deep = (open, close) => open.repeat(40_000) + close.repeat(40_000);
    for (const text of [deep('[', ']'), deep('{"a":', '}').replace('{"a":}', '{"a":1}')]) {
      const { messages, errors } = await feed([hello(), user(text), behind]);
      if (errors.length === 0) assert.equal(messages.length, 2);
      else assert.equal(errors[0].code, 'ERR_FORKWIRE_BAD_MESSAGE');
    }
  });

  it('nests deeply in the format of V8', async () => {
    // Arrays of one: 'A' 1, ... , null, and then the ends '$' 0 1.
    const depth = 60_000;
    const body = Buffer.concat([
      Buffer.of(0xff, 0x0f),
      Buffer.alloc(2 * depth, Buffer.of(0x41, 1)),
      Buffer.from('0'),
      Buffer.alloc(3 * depth, Buffer.of(0x24, 0, 1)),
    ]);
    const pieces = [];
    for (let at = 0; at < body.length; at += 200_000) {
      const isFirst = at === 0;
      const isLast = at + 200_000 >= body.length;
      const part = body.subarray(at, at + 200_000);
      const payload = isFirst && !isLast ? Buffer.concat([u64s(body.length), part]) : part;
      const flags = (isLast ? 0 : 1) | (isFirst ? 0 : 2);
      pieces.push(frame(KIND.USER, payload, { encoding: ENCODING.V8, flags }));
    }
    const options = { serialization: 'advanced' };
    const { messages, errors } = await feed([hello(), ...pieces, behind], options);
    if (errors.length === 0) assert.equal(messages.length, 2);
    else assert.equal(errors[0].code, 'ERR_FORKWIRE_BAD_MESSAGE');
  });

  it('announces a huge array in the format of V8', async () => {
    for (const body of [
      'ff0f41ffffffff0f',
      'ff0f42ffffffff0f',
      'ff0f22ffffffff0f',
      'ff0f61ffffffff0f24',
    ]) {
      const start = process.memoryUsage().rss;
      const options = { serialization: 'advanced' };
      const { errors } = await feed(
        [hello(), user(Buffer.from(body, 'hex'), ENCODING.V8)],
        options,
      );
      assert.equal(errors[0]?.code, 'ERR_FORKWIRE_BAD_MESSAGE', body);
      assertGrowth(process.memoryUsage().rss - start, 64 * MIB);
    }
  });

  it('has keys named __proto__, constructor and toString', async () => {
    const text =
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}';
    const { messages, errors } = await feed([hello(), user(text), user(text), behind]);
    assert.deepEqual(errors, []);
    assert.equal(messages.length, 3);
    assert.equal({}.polluted, undefined);
    assert.deepEqual(Object.keys(messages[0]), ['__proto__', 'constructor', 'toString']);
  });

  it('is not internal, but comes on the lane of those that are', async () => {
    const values = ['null', '1', '"NODE_X"', '[]', '{}', '{"cmd":null}', '{"cmd":"NODE"}'];
    const texts = [...values, '{"cmd":["NODE_X"]}', '{"__proto__":{"cmd":"NODE_X"}}'];
    const internal = (text) => frame(KIND.INTERNAL, Buffer.from(text), { encoding: ENCODING.JSON });
    for (const text of texts) {
      const frames = [hello(), user('"before"'), internal(text), behind];
      const { messages, errors } = await feed(frames);
      assert.deepEqual(messages, ['before'], text);
      assert.equal(errors[0]?.code, 'ERR_FORKWIRE_BAD_MESSAGE', text);
    }
    const { messages } = await feed([hello(), internal('{"cmd":"NODE_X"}')]);
    assert.deepEqual(messages, [{ cmd: 'NODE_X' }]);
  });

  it('inherits an internal cmd, or looks like one, and is a message as any other', async () => {
    const texts = [
      '{"__proto__":{"cmd":"NODE_HANDLE_ACK"}}',
      '{"cmd":"NODE_HANDLE","type":"__proto__"}',
      '{"cmd":"NODE_SOCKET_GET_COUNT","key":"__proto__"}',
      '{"cmd":"NODE_CLUSTER","act":"close","key":"x"}',
      '{"cmd":["NODE_HANDLE_ACK"]}',
    ];
    const { messages, errors } = await feed([hello(), ...texts.map((text) => user(text)), behind]);
    assert.deepEqual(errors, []);
    assert.equal(messages.length, texts.length + 1);
  });

  it('joins its neighbours to something else', async () => {
    for (const texts of [['1,2', '3'], ['[1', '2]'], ['"a', 'b"'], ['1],[2'], ['{}', '', '{}']]) {
      const { messages, errors } = await feed([
        hello(),
        user('"before"'),
        ...texts.map((text) => user(text)),
      ]);
      assert.equal(errors[0]?.code, 'ERR_FORKWIRE_BAD_MESSAGE', texts.join(' '));
      for (const message of messages)
        assert.ok(['before', '{}'].includes(message) || message.constructor === Object);
    }
  });

  it('has halves of characters, zeros and bytes that are no UTF-8', async () => {
    const bodies = [
      user(Buffer.from('00d8', 'hex'), ENCODING.UTF16),
      user(Buffer.from('c3', 'hex'), ENCODING.UTF8),
      user(Buffer.from('fffe00', 'hex'), ENCODING.UTF8),
      user(Buffer.alloc(3), ENCODING.LATIN1),
      user(Buffer.from('22c322', 'hex')),
    ];
    const { messages, errors } = await feed([hello(), ...bodies]);
    assert.deepEqual(errors, []);
    assert.deepEqual(messages, ['\ud800', '\ufffd', '\ufffd\ufffd\0', '\0\0\0', '\ufffd']);
  });
});
