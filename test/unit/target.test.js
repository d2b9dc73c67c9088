'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { channelPair } = require('../helpers/channel-pair');

describe('the target of a channel', () => {
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

  it('shifts the arguments of send()', async () => {
    const outcomes = [];
    const callback = (error) => outcomes.push(error);
    left.send(1, callback);
    left.send(2, undefined, callback);
    left.send(3, undefined, undefined, callback);
    left.send(4, null, {}, callback);
    await turn();
    assert.deepEqual(outcomes, [null, null, null, null]);
  });

  it('has a _send() that takes a boolean for its options and does not ask whether it is connected', async () => {
    left.connected = false;
    assert.equal(
      left.send('x', () => {}),
      false,
    );
    assert.equal(left._send('one', undefined, true), true);
    assert.equal(left._send('two', undefined, { swallowErrors: true }), true);
    left.connected = true;
    assert.deepEqual(await once(right, 'message'), ['one', undefined]);
    assert.deepEqual(await once(right, 'message'), ['two', undefined]);
  });

  it('calls _send() and _disconnect() of itself, which may be replaced', () => {
    const calls = [];
    const { _send, _disconnect } = left;
    left._send = (...args) => calls.push(args);
    left._disconnect = () => calls.push('disconnect');
    left.send('x', null, { keepOpen: true });
    left.disconnect();
    const options = { swallowErrors: false, keepOpen: true };
    assert.deepEqual(calls, [['x', null, options, undefined], 'disconnect']);
    assert.equal(left.connected, false);
    Object.assign(left, { _send, _disconnect, connected: true });
  });

  it("emits 'error' with ERR_IPC_DISCONNECTED at once when it is disconnected twice", async () => {
    left.disconnect();
    assert.throws(() => left.disconnect(), { code: 'ERR_IPC_DISCONNECTED' });
    await once(right, 'disconnect');
  });

  it('swallows errors of _send() if it is told so, and emits them otherwise', async () => {
    left.disconnect();
    await once(right, 'disconnect');
    const errors = [];
    left.on('error', ({ code }) => errors.push(code));
    left._send('quiet', undefined, true);
    left._send('quiet', undefined, { swallowErrors: true });
    await turn();
    assert.deepEqual(errors, []);
    left._send('loud');
    await turn();
    assert.equal(errors.length, 1);
  });
});
