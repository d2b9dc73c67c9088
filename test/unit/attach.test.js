'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const attachment = require('../../lib/attach');
const { channelPair } = require('../helpers/channel-pair');
const { descriptorsOf } = require('../helpers/descriptors');

describe('attach()', () => {
  it('makes own properties of its target, as stock does', async () => {
    const [left, right] = channelPair().map(({ target }) => target);
    for (const target of [left, right]) {
      for (const name of ['send', '_send', 'disconnect', '_disconnect', 'connected', 'channel']) {
        assert.ok(Object.hasOwn(target, name), name);
      }
      assert.equal(target.connected, true);
      assert.equal(target.send.length, 4);
      assert.equal(target.send.name, 'send');
    }
    left.disconnect();
    await once(right, 'disconnect');
    assert.deepEqual([right.connected, right.channel], [false, null]);
  });

  it("lets an 'advanced' end read what a 'json' end writes", async () => {
    const [left, right] = channelPair([{ serialization: 'advanced' }, {}]).map(
      ({ target }) => target,
    );
    const toLeft = once(left, 'message');
    right.send(new Map([[1, 2n]]));
    assert.deepEqual(await toLeft, [{}, undefined]);
    left.disconnect();
    await once(right, 'disconnect');
  });

  it('knows the pid of the peer once it said HELLO', async () => {
    const [left, right] = channelPair();
    assert.equal(left.channel.peerPid, 0);
    right.target.send('x');
    await once(left.target, 'message');
    assert.equal(left.channel.peerPid, process.pid);
    left.target.disconnect();
    await once(right.target, 'disconnect');
  });

  it("adds one 'exit' listener to the process, however many channels there are", async () => {
    const open = [channelPair()];
    const count = process.listenerCount('exit');
    open.push(channelPair(), channelPair());
    assert.equal(process.listenerCount('exit'), count);
    for (const [left, right] of open) {
      left.target.disconnect();
      await once(right.target, 'disconnect');
    }
  });
});

describe('what attach passes on of the addon', () => {
  it('socketPair() gives two connected sockets that programs do not inherit', () => {
    const [one, two] = attachment.socketPair();
    fs.writeSync(one, 'through');
    const bytes = Buffer.alloc(10);
    assert.equal(bytes.toString('latin1', 0, fs.readSync(two, bytes)), 'through');
    for (const fd of [one, two]) {
      const flags = /^flags:\s+(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))[1];
      assert.ok(Number.parseInt(flags, 8) & 0o2000000, 'close-on-exec');
      attachment.closeFd(fd);
      assert.equal(descriptorsOf().has(fd), false);
    }
  });

  it('inode() and isSocket() recognise a socket by its inode', () => {
    const [one, two] = attachment.socketPair();
    const inode = attachment.inode(one);
    assert.equal(descriptorsOf().get(one), `socket:[${inode}]`);
    assert.equal(attachment.isSocket(one, inode), true);
    assert.equal(attachment.isSocket(two, inode), false);
    assert.equal(attachment.isSocket(999_999, inode), false);
    const file = fs.openSync(__filename, 'r');
    assert.equal(attachment.isSocket(file, fs.fstatSync(file).ino), false);
    for (const fd of [one, two]) attachment.closeFd(fd);
    fs.closeSync(file);
  });

  it('isPrivileged() is false for this Node and for what does not exist', () => {
    assert.equal(attachment.isPrivileged(process.execPath), false);
    assert.equal(attachment.isPrivileged('/nowhere'), false);
  });
});
