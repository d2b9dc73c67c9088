'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { channelPair } = require('../helpers/channel-pair');

// On a real channel in this process, whose other end reads only when this one's turn is over.

const MB = 1024 * 1024;

describe('the outbox', () => {
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

  it('calls back once for each message, in order, in small and large ones', async () => {
    const called = [];
    right.on('message', () => {});
    const sizes = [1, 100, 3 * MB, 1, 200_000, 1];
    const all = sizes.map(
      (size, i) =>
        new Promise((resolve) => {
          left.send('x'.repeat(size), (error) => {
            called.push([i, error]);
            resolve();
          });
        }),
    );
    await Promise.all(all);
    assert.deepEqual(
      called,
      sizes.map((_, i) => [i, null]),
    );
  });

  it('calls back in the order of the lane, also across lanes within a tick', async () => {
    const called = [];
    left.send('a', () => called.push('a'));
    left.send({ cmd: 'NODE_B' }, () => called.push('b'));
    left.send('c', () => called.push('c'));
    await turn();
    assert.deepEqual(called, ['a', 'b', 'c']);
  });

  it("says when there is room, and 'drain' once when there is again", async () => {
    right.on('message', () => {});
    let drains = 0;
    left.on('drain', () => drains++);
    assert.equal(left.send('x'.repeat(1000)), true);
    await turn();
    assert.equal(left.send('x'.repeat(3 * MB)), false);
    assert.equal(left.send('x'), false);
    await once(left, 'drain');
    for (let i = 0; i < 5; i++) {
      await new Promise((done) => assert.equal(left.send('x', done), true));
      await once(right, 'message');
    }
    await turn();
    assert.equal(drains, 1);
  });

  it('gives ERR_IPC_CHANNEL_CLOSED for what was not written when the peer ends', async () => {
    const outcomes = [];
    // More than the credit: without a listener there the rest stays here.
    for (let i = 0; i < 30; i++) {
      left.send('x'.repeat(MB), (error) => outcomes.push(error?.code ?? null));
    }
    while (outcomes.length < 10) await turn();
    right.disconnect();
    await once(left, 'disconnect');
    await turn();
    assert.equal(outcomes.length, 30);
    const lost = outcomes.indexOf('ERR_IPC_CHANNEL_CLOSED');
    assert.ok(lost >= 10 && lost <= 17, String(lost));
    assert.ok(outcomes.slice(lost).every((code) => code === 'ERR_IPC_CHANNEL_CLOSED'));
    assert.ok(outcomes.slice(0, lost).every((code) => code === null));
  });
});
