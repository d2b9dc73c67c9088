'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
const { once } = require('node:events');
const fs = require('node:fs');
const attachment = require('../../lib/attach');
const { DEFAULTS } = require('../../lib/limits');
const { channelPair } = require('../helpers/channel-pair');

describe('a channel', () => {
  it('refuses what is no message, before anything else', async () => {
    const [left, right] = channelPair();
    for (const [message, code] of [
      [undefined, 'ERR_MISSING_ARGS'],
      [1n, 'ERR_INVALID_ARG_TYPE'],
      [Symbol('x'), 'ERR_INVALID_ARG_TYPE'],
      [() => {}, 'ERR_INVALID_ARG_TYPE'],
    ]) {
      assert.throws(() => left.target.send(message, {}), { code });
    }
    left.target.disconnect();
    await once(right.target, 'disconnect');
  });

  it('ends with one disconnect on each side, whoever begins', async () => {
    for (const begin of [['left'], ['right'], ['left', 'right'], ['right', 'left']]) {
      const [left, right] = channelPair().map(({ target }) => target);
      const seen = [];
      left.on('disconnect', () => seen.push('left'));
      right.on('disconnect', () => seen.push('right'));
      const ended = [once(left, 'disconnect'), once(right, 'disconnect')];
      for (const side of begin) (side === 'left' ? left : right).disconnect();
      await Promise.all(ended);
      await new Promise(setImmediate);
      assert.deepEqual(seen.toSorted(), ['left', 'right']);
      assert.deepEqual([left.connected, right.connected], [false, false]);
    }
  });

  /** An end of a channel whose other end is a bare descriptor. */
  function halfOpen() {
    const [fd, peer] = attachment.socketPair();
    const target = new EventEmitter();
    const options = { serialization: 'json', limits: DEFAULTS, trace: '', endsWithClose: false };
    attachment.attach(target, { fd, ...options });
    return { target, peer };
  }

  it("reports a peer's violation as 'error' and then ends", async () => {
    const { target, peer } = halfOpen();
    const seen = [];
    target.on('error', ({ code, message }) => seen.push(code, message));
    target.on('disconnect', () => seen.push('disconnect'));
    const ended = new Promise((resolve) => target.on('disconnect', resolve));
    fs.writeSync(peer, Buffer.alloc(16, 0xff));
    await ended;
    assert.equal(seen[0], 'ERR_FORKWIRE_PROTOCOL');
    assert.match(seen[1], /at byte 0/);
    assert.equal(seen[2], 'disconnect');
    attachment.closeFd(peer);
  });

  it('warns of it when nobody listens, and throws nothing', async () => {
    const { target, peer } = halfOpen();
    const { write } = process.stderr;
    process.stderr.write = () => true; // Node prints warnings
    const warning = once(process, 'warning');
    fs.writeSync(peer, 'no frame at all!');
    const [{ code }] = await warning;
    process.stderr.write = write;
    assert.equal(code, 'ERR_FORKWIRE_PROTOCOL');
    assert.equal(target.connected, false);
    attachment.closeFd(peer);
  });

  it("takes the end of the stream for the peer's end", async () => {
    const { target, peer } = halfOpen();
    attachment.closeFd(peer);
    await once(target, 'disconnect');
    assert.equal(target.channel, null);
  });
});
