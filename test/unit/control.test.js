'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
const { once } = require('node:events');
const { Control } = require('../../lib/control');
const { channelPair } = require('../helpers/channel-pair');
const { descriptorsOf } = require('../helpers/descriptors');
const { until } = require('../helpers/until');

// What keeps a process alive is in test/integration/lifetime.test.js: it shows only in a process that may end.

describe('Control', () => {
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

  it('is an event emitter that names its protocol and its descriptor', () => {
    const { channel } = left;
    assert.ok(channel instanceof Control && channel instanceof EventEmitter);
    assert.equal(channel.protocol, 'native');
    assert.match(descriptorsOf().get(channel.fd), /^socket:/);
    assert.notEqual(channel.fd, right.channel.fd);
  });

  it("emits 'unref' whenever the count comes to nothing", () => {
    let count = 0;
    left.channel.on('unref', () => count++);
    left.channel.refCounted();
    left.channel.refCounted();
    left.channel.unrefCounted();
    assert.equal(count, 0);
    left.channel.unrefCounted();
    assert.equal(count, 1);
    left.channel.refCounted();
    left.channel.unrefCounted();
    assert.equal(count, 2);
  });

  it("emits no 'unref' after ref() or unref()", () => {
    for (const { channel } of [left, right]) {
      channel.on('unref', assert.fail);
      channel.refCounted();
    }
    left.channel.ref();
    right.channel.unref();
    left.channel.unrefCounted();
    right.channel.unrefCounted();
    left.channel.ref();
    right.channel.ref();
  });

  it('outlives its channel: everything can still be called, and there is no descriptor', async () => {
    const { channel } = left;
    left.disconnect();
    await Promise.all([once(left, 'disconnect'), once(right, 'disconnect')]);
    await until(() => channel.fd === undefined); // it may take a moment to tell the peer
    for (const name of ['ref', 'unref', 'refCounted', 'unrefCounted']) channel[name]();
    assert.equal(channel.fd, undefined);
    assert.equal(channel.protocol, 'native');
  });
});
