'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { channelPair } = require('../helpers/channel-pair');
const { until } = require('../helpers/until');

// On a real channel in this process; more of it is in test/integration/receive.test.js.

const numbers = (count) => Array.from({ length: count }, (_, i) => i);

describe('the inbox', () => {
  let left;
  let right;

  beforeEach(() => {
    [left, right] = channelPair().map(({ target }) => target);
  });

  afterEach(async () => {
    if (!left.connected) return;
    left.disconnect();
    await once(right, 'disconnect');
  });

  /** Sends all in one turn, so that they are read together; resolves when they have been written. */
  async function sendTogether(messages) {
    await Promise.all(messages.map((message) => new Promise((done) => left.send(message, done))));
  }

  it('keeps the order of all kinds of messages', async () => {
    const messages = [
      1,
      'text',
      { a: 1 },
      [2],
      'ü',
      '日',
      { long: 'x'.repeat(5000) },
      null,
      true,
      1,
      2,
      3,
    ];
    const seen = [];
    right.on('message', (message) => seen.push(message));
    await sendTogether(messages);
    await until(() => seen.length === messages.length);
    assert.deepEqual(seen, messages);
  });

  it('parks without a listener, lets internal messages pass, and delivers afterwards', async () => {
    const passed = [];
    right.on('internalMessage', ({ cmd }) => passed.push(cmd));
    await sendTogether([0, { cmd: 'NODE_A' }, 1, { cmd: 'NODE_B' }, 2]);
    await until(() => passed.length === 2);
    const seen = [];
    right.on('message', (message) => seen.push(message));
    assert.deepEqual(seen, []);
    await turn();
    assert.deepEqual(seen, [0, 1, 2]);
    assert.deepEqual(passed, ['NODE_A', 'NODE_B']);
  });

  it('gives to a listener no more than it wants, and keeps the rest for the next', async () => {
    await sendTogether(numbers(50));
    const seen = [];
    while (seen.length < 50) {
      const [message] = await once(right, 'message');
      seen.push(message);
      if (seen.length % 7 === 0) await turn();
    }
    assert.deepEqual(seen, numbers(50));
  });

  it('goes on where it was when a listener delivers more while it runs', async () => {
    const seen = [];
    right.on('message', (message) => {
      seen.push(message);
      if (message === 1) right.on('something', () => {}); // has the parked ones looked at
    });
    await sendTogether(numbers(5));
    await until(() => seen.length === 5);
    assert.deepEqual(seen, numbers(5));
  });

  it('drops what is parked when the channel ends', async () => {
    await sendTogether(numbers(3));
    await turn();
    right.disconnect();
    await once(right, 'disconnect');
    right.on('message', assert.fail);
    await turn();
  });

  it('delivers what was read before the peer ended, and then the end', async () => {
    const seen = [];
    right.on('message', (message) => seen.push(message));
    right.on('disconnect', () => seen.push('disconnect'));
    for (const i of numbers(3)) left.send(i);
    left.disconnect();
    await once(right, 'disconnect');
    assert.deepEqual(seen, [0, 1, 2, 'disconnect']);
  });
});
