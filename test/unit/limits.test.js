'use strict';

const assert = require('node:assert/strict');
const {
  DEFAULTS,
  limitsFrom,
  limitsOf,
  refusedEncodings,
  sharedLimits,
} = require('../../lib/limits');

const EVERY_TYPE = 0b1111110; // 1 << fw_handle_type_t

describe('limitsOf()', () => {
  it('fills in what was not given', () => {
    assert.deepEqual(limitsOf({}), DEFAULTS);
    assert.deepEqual(limitsOf({ credit: {}, exitFlush: {}, acceptHandles: true }), DEFAULTS);
    assert.deepEqual(limitsOf({ untrusted: false, serialization: 'advanced' }), DEFAULTS);
    assert.deepEqual(limitsOf({ exitFlush: { stall: 0 } }), { ...DEFAULTS, exitStall: 0 });
  });

  it('takes every value from the least to the most', () => {
    const ends = [
      ['maxMessageSize', [1, 2 ** 30], (value) => ({ maxMessageSize: value })],
      ['maxQueueBytes', [1, Number.MAX_SAFE_INTEGER], (value) => ({ maxQueueBytes: value })],
      ['creditBytes', [2 ** 19, 2 ** 30], (bytes) => ({ credit: { bytes } })],
      ['creditHandles', [1, 512], (handles) => ({ credit: { handles } })],
      ['exitStall', [0, 2 ** 31 - 1], (stall) => ({ exitFlush: { stall } })],
      ['exitTotal', [0, 2 ** 31 - 1], (total) => ({ exitFlush: { total } })],
    ];
    for (const [key, [least, most], options] of ends) {
      for (const value of [least, most]) {
        assert.deepEqual(limitsOf(options(value)), { ...DEFAULTS, [key]: value });
      }
      for (const value of [least - 1, most + 1, -1, 1.5, NaN, Infinity]) {
        assert.throws(() => limitsOf(options(value)), {
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
        });
      }
      for (const value of ['1', null, {}, 1n, true]) {
        assert.throws(() => limitsOf(options(value)), { code: 'ERR_INVALID_ARG_TYPE' });
      }
    }
  });

  it('says which option is wrong, and how', () => {
    assert.throws(() => limitsOf({ credit: { handles: 513 } }), {
      message:
        'The value of "options.credit.handles" is out of range. It must be >= 1 && <= 512. Received 513',
    });
    assert.throws(() => limitsOf({ maxMessageSize: 1.5 }), { message: /must be an integer\./ });
    assert.throws(() => limitsOf({ maxQueueBytes: '5' }), {
      message: `The "options.maxQueueBytes" argument must be of type number. Received type string ('5')`,
    });
  });

  it('refuses what is no object where one is wanted', () => {
    for (const value of [null, 5, true, 'fast', []]) {
      assert.throws(() => limitsOf({ exitFlush: value }), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => limitsOf({ credit: value }), { code: 'ERR_INVALID_ARG_TYPE' });
    }
  });

  it('knows which kinds of handles are accepted', () => {
    const refused = (acceptHandles) => limitsOf({ acceptHandles }).refusedTypes;
    assert.equal(refused(undefined), 0);
    assert.equal(refused(true), 0);
    assert.equal(refused(false), EVERY_TYPE);
    assert.equal(refused([]), EVERY_TYPE);
    assert.equal(refused(['net.Socket']), EVERY_TYPE & ~(1 << 1));
    assert.equal(refused(['dgram.Socket', 'net.Server']), EVERY_TYPE & ~(1 << 4) & ~(1 << 2));
    for (const value of ['net.Socket', null, 1, {}]) {
      assert.throws(() => refused(value), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const value of [['socket'], [undefined], [1], ['net.Socket', '__proto__']]) {
      assert.throws(() => refused(value), { code: 'ERR_INVALID_ARG_VALUE' });
    }
  });

  it('is strict for a peer that is not trusted, and still takes what is given', () => {
    const limits = limitsOf({ untrusted: true });
    assert.equal(limits.isUntrusted, true);
    assert.equal(limits.refusedTypes, EVERY_TYPE);
    for (const key of ['maxMessageSize', 'creditBytes', 'creditHandles', 'exitStall', 'exitTotal'])
      assert.ok(limits[key] < DEFAULTS[key], key);
    assert.ok(limits.maxQueueBytes > 0);
    const given = { untrusted: true, maxMessageSize: 5, acceptHandles: ['net.Socket'] };
    const { maxMessageSize, refusedTypes } = limitsOf(given);
    assert.deepEqual([maxMessageSize, refusedTypes], [5, EVERY_TYPE & ~2]);
  });

  it("has no 'advanced' for it", () => {
    assert.throws(() => limitsOf({ untrusted: true, serialization: 'advanced' }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /'options.serialization' must be 'json'/,
    });
    for (const untrusted of [1, 'yes', null]) {
      assert.throws(() => limitsOf({ untrusted }), { code: 'ERR_INVALID_ARG_TYPE' });
    }
  });
});

describe('limits that bind both ends', () => {
  const roundTrip = (options) => limitsFrom(Object.fromEntries(sharedLimits(limitsOf(options))));

  it('are the same after they were told', () => {
    const given = {
      maxMessageSize: 7,
      credit: { bytes: 2 ** 20, handles: 9 },
      exitFlush: { stall: 1, total: 2 },
    };
    assert.deepEqual(roundTrip(given), limitsOf(given));
  });

  it('do not include those of one end', () => {
    assert.deepEqual(roundTrip({ maxQueueBytes: 9, acceptHandles: false }), DEFAULTS);
  });

  it('are not told where they are the default', () => {
    assert.deepEqual(sharedLimits(DEFAULTS), []);
  });

  it('are the default where nonsense is told', () => {
    const named = { 'max-message-size': '1e3', 'credit-bytes': '', 'credit-handles': '-1', x: '1' };
    assert.deepEqual(limitsFrom(named), DEFAULTS);
  });
});

describe('refusedEncodings()', () => {
  it("are those of 'advanced' on a channel of JSON", () => {
    assert.equal(refusedEncodings('json'), (1 << 5) | (1 << 6) | (1 << 7));
    assert.equal(refusedEncodings('advanced'), 0);
  });
});
