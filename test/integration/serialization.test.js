'use strict';

const assert = require('node:assert/strict');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { itInTurn, some } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');

const MB = 1024 * 1024;

/** What both serializations keep as it is. */
const PLAIN = {
  strings: ['', 'a', 'line\nbreak\r\n', '\0', '\u2028\u2029', '"quoted" \\ {}[]', 'ÿ', 'Ā'],
  'strings beyond one byte': ['grüße', '日本語', '😀', 'é'.normalize('NFD'), '\uFFFF', '\uFEFFbom'],
  'lone surrogates': ['\uD83D', 'a\uDE00b', '\uDE00\uD83D', { key: '\uD800' }, ['\uDFFF']],
  numbers: [0, 1, -1, 0.1, 1e21, -1e-7, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, 5e-324, 2 ** 53],
  booleans: [true, false],
  null: [null],
  objects: [{}, { a: 1 }, { a: { b: { c: [] } } }, { '': '' }, { ключ: 'значение' }, { cmd: 'x' }],
  arrays: [[], [1, 'two', null, true], [[[]]], Array(1000).fill(7)],
  'what looks like other things': ['NODE_', '[]', '{}', '1', 'null', { length: 2 }, { message: 1 }],
};

/** A string of `size` characters in which no short period repeats. */
function text(size, alphabet) {
  let seed = 1;
  let result = '';
  while (result.length < size) {
    seed = (seed * 48271) % 2147483647;
    result += alphabet[seed % alphabet.length];
  }
  return result;
}

/** A value of about 100 levels. */
function deep(levels) {
  let value = 'bottom';
  for (let i = 0; i < levels; i++) value = i % 2 ? [value] : { value };
  return value;
}

for (const [index, serialization] of ['json', 'advanced'].entries()) {
  describe(`serialization '${serialization}'`, () => {
    let child;

    before(() => {
      child = forkFixture('echo.js', [], { serialization });
    });

    // One child for the group: the check of what is left behind comes after each test.
    after(async () => {
      child.disconnect();
      await exited(child);
    });

    /** Sends all to the child, which sends them back: both directions. */
    async function echoed(messages) {
      const answers = messagesOf(child, messages.length);
      for (const message of messages) child.send(message);
      return answers;
    }

    for (const [what, messages] of Object.entries(PLAIN)) {
      it(`carries ${what} both ways`, async () => {
        assert.deepEqual(await echoed(messages), messages);
      });
    }

    it('carries deep values', async () => {
      assert.deepEqual(await echoed([deep(100)]), [deep(100)]);
    });

    it('keeps keys apart that mean something to JavaScript', async () => {
      const message = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}');
      const [answer] = await echoed([message]);
      assert.equal(Object.getPrototypeOf(answer), Object.prototype);
      assert.equal(JSON.stringify(answer), JSON.stringify(message));
      assert.equal({}.polluted, undefined);
    });

    const alphabets = {
      ASCII: 'abcdefghij',
      'Latin-1': 'aäöüßÿ',
      'two bytes': 'aжщя',
      'three bytes': '日本語a',
      'four bytes': ['😀', '𝒳', 'a'],
      'lone surrogates': ['\uD83D', 'a', '\uDE00b'],
    };
    const itLarge = itInTurn(index, 2);
    for (const [name, alphabet] of Object.entries(alphabets)) {
      itLarge(`carries strings of several 100 kB (${name}) intact`, async () => {
        const whole = text(400_000, alphabet);
        const long = [100_001, 300_000, 400_000].map((size) => whole.slice(0, size));
        const messages = [...long, { long: long[2] }, [long[0], long[1]]];
        const answers = await echoed(messages);
        // Not deepEqual: its report of a difference in a long text takes minutes.
        assert.equal(answers.length, messages.length);
        assert.ok(
          messages.every((message, i) => JSON.stringify(message) === JSON.stringify(answers[i])),
        );
      });
    }

    itLarge('carries many sizes around those of frames and buffers', async () => {
      const around = [4096, 16_384, 65_536, 262_144, 524_288];
      const sizes = around.flatMap((size) =>
        [-40, -17, -16, -9, -8, -2, -1, 0, 1].map((d) => size + d),
      );
      const whole = text(600_000, 'abcdefg');
      const messages = sizes.map((size) => whole.slice(0, size));
      const answers = await echoed(messages);
      assert.deepEqual(
        answers.map(({ length }) => length),
        sizes,
      );
      assert.ok(messages.every((message, i) => message === answers[i]));
    });

    itLarge('carries messages of 8 MB in a row, both ways', async () => {
      const messages = Array.from({ length: 8 }, (_, i) => String(i).repeat(8 * MB));
      const answers = await echoed(messages);
      assert.ok(messages.every((message, i) => message === answers[i]));
    });

    it('carries large and small messages in turn, in order', async () => {
      const messages = Array.from({ length: 60 }, (_, i) => (i % 3 ? i : 'x'.repeat(i * 10_000)));
      assert.ok((await echoed(messages)).every((answer, i) => answer === messages[i]));
    });
  });
}

describe("serialization 'json'", () => {
  let child;

  before(() => {
    child = forkFixture('echo.js');
  });

  after(async () => {
    child.disconnect();
    await exited(child);
  });

  async function echoed(message) {
    child.send(message);
    return nextMessage(child);
  }

  it('carries what JSON makes of it', async () => {
    assert.equal(await echoed(NaN), null);
    assert.equal(await echoed(-Infinity), null);
    assert.deepEqual(await echoed([undefined, () => {}, Symbol('x')]), [null, null, null]);
    assert.deepEqual(await echoed({ a: undefined, b: () => {}, c: 1 }), { c: 1 });
    assert.equal(await echoed(new Date(0)), '1970-01-01T00:00:00.000Z');
    assert.deepEqual(await echoed(new Map([[1, 2]])), {});
    assert.deepEqual(await echoed(Buffer.from('ab')), { type: 'Buffer', data: [97, 98] });
    assert.equal(Object.is(await echoed(-0), 0), true);
    assert.deepEqual(await echoed({ toJSON: () => ({ own: 1 }) }), { own: 1 });
    assert.equal(await echoed(new String('object')), 'object');
  });

  // Stock sends a line that crashes the receiver.
  itIsBetter('refuses what has no JSON at all, at the sender', async () => {
    assert.throws(() => child.send({ toJSON() {} }), { code: 'ERR_FORKWIRE_EMPTY_MESSAGE' });
    assert.equal(await echoed('still works'), 'still works');
  });
});

describe("serialization 'advanced'", () => {
  let child;

  before(() => {
    child = forkFixture('echo.js', [], { serialization: 'advanced' });
  });

  after(async () => {
    child.disconnect();
    await exited(child);
  });

  async function echoed(message) {
    child.send(message);
    return nextMessage(child);
  }

  const kept = {
    'undefined inside': { a: undefined, b: [undefined] },
    'special numbers': [NaN, -Infinity, -0],
    'BigInt inside': { big: 2n ** 80n },
    dates: new Date(1e12),
    'regular expressions': /a\/b/giu,
    maps: new Map([['key', new Map([[{}, []]])]]),
    sets: new Set([1, 'two', new Set()]),
    'boxed values': [Object(1), Object('text'), Object(true)],
    'sparse arrays': Object.assign([], { 1: 'second', 5: 'sixth' }),
    buffers: Buffer.from([0, 255, 128]),
    'an empty buffer': Buffer.alloc(0),
    'buffers inside': { list: [Buffer.from('one'), Buffer.from('two')] },
    'typed arrays': [
      new Uint8Array([1, 2]),
      new Float64Array([0.5]),
      new Int16Array([-1]),
      new BigInt64Array(2),
    ],
    'a DataView': { view: new DataView(new ArrayBuffer(8), 2, 4) },
    'an ArrayBuffer': { bytes: new Uint8Array([1, 2, 3]).buffer },
    'one typed array alone': new Uint16Array([1, 65535]),
  };
  for (const [what, message] of Object.entries(kept)) {
    it(`keeps ${what}`, async () => {
      assert.deepEqual(await echoed(message), message);
    });
  }

  it('keeps errors with their message, stack and cause', async () => {
    const error = new RangeError('too far', { cause: 'a cause' });
    const answer = await echoed(error);
    assert.equal(answer instanceof RangeError, true);
    assert.deepEqual([answer.message, answer.stack], [error.message, error.stack]);
    assert.deepEqual(answer.cause, error.cause);
  });

  it('keeps circles and what is shared', async () => {
    const circle = { list: [] };
    circle.self = circle;
    circle.list.push(circle.list);
    const shared = { one: 1 };
    const answer = await echoed({ circle, left: shared, right: shared });
    assert.equal(answer.circle.self, answer.circle);
    assert.equal(answer.circle.list[0], answer.circle.list);
    assert.equal(answer.left, answer.right);
  });

  it('makes plain objects of instances and of host objects', async () => {
    class Point {
      x = 1;
      #hidden = 2;
      get y() {
        return this.#hidden;
      }
    }
    const answer = await echoed(new Point());
    assert.equal(Object.getPrototypeOf(answer), Object.prototype);
    assert.deepEqual(answer, { x: 1 });
    const { message_ } = await echoed({ message_: process.versions });
    assert.deepEqual(message_, { ...process.versions });
  });

  it('keeps the bytes of a large Buffer, also as part of a larger one', async () => {
    const pool = Buffer.from(text(3 * MB, 'abc'));
    const part = pool.subarray(MB + 1, 2 * MB + 2);
    assert.ok((await echoed(part)).equals(part));
    assert.ok((await echoed({ part })).part.equals(part));
  });

  it('applies to what the child sends as well', async () => {
    const other = forkFunction({ serialization: 'advanced' }, () =>
      process.send(new Map([[1, 2n]])),
    );
    assert.deepEqual(await nextMessage(other), new Map([[1, 2n]]));
    await exited(other);
  });
});

describe('the serialization of parent and child', () => {
  for (const serialization of some([undefined, 'json', 'advanced'], 0, 2)) {
    it(`is that of fork()'s option ${serialization}`, async () => {
      const child = forkFixture('echo.js', [], { serialization });
      child.send({ dropped: undefined });
      const answer = await nextMessage(child);
      assert.equal('dropped' in answer, serialization === 'advanced');
      child.disconnect();
      await exited(child);
    });
  }

  it('may differ between two children of one parent', async () => {
    const children = ['json', 'advanced'].map((serialization) =>
      forkFixture('echo.js', [], { serialization }),
    );
    const answers = children.map((child) => {
      child.send({ dropped: undefined });
      return nextMessage(child);
    });
    const [json, advanced] = await Promise.all(answers);
    assert.deepEqual([Object.keys(json), Object.keys(advanced)], [[], ['dropped']]);
    for (const child of children) child.disconnect();
    await Promise.all(children.map(exited));
  });
});
