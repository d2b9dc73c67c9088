'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const attachment = require('../../lib/attach');
const internals = require('../../lib/node-internals');
const { Gate, finishWrites, hasPendingWrites } = require('../../lib/pending-writes');
const { until } = require('../helpers/until');

describe('pending writes', () => {
  let here;
  let there;
  let text;

  beforeEach(() => {
    text = '';
    [here, there] = attachment
      .socketPair()
      .map((fd) => new net.Socket({ fd, readable: true, writable: true }));
    there.on('data', (chunk) => {
      text += chunk;
    });
  });

  afterEach(async () => {
    const closed = [here, there]
      .filter((socket) => !socket.closed)
      .map((socket) => once(socket, 'close'));
    here.destroy();
    there.destroy();
    await Promise.all(closed);
  });

  it('are those of a socket that has not written all, or may not yet', () => {
    assert.equal(hasPendingWrites(here), false);
    const gate = new Gate(here);
    assert.equal(hasPendingWrites(here), true);
    gate.open();
    assert.equal(hasPendingWrites(here), false);
    here.cork();
    here.write('x');
    assert.equal(hasPendingWrites(here), true);
  });

  it('are held back by a gate, with the end, until it is opened', async () => {
    const gate = new Gate(here);
    const called = [];
    here.write('one ', () => called.push('one'));
    here.write('two ', () => called.push('two'));
    here.end('three', () => called.push('end'));
    await new Promise(setImmediate);
    assert.deepEqual([text, called], ['', []]);
    there.once('end', () => called.push('seen'));
    gate.open();
    await until(() => called.includes('seen') && called.includes('end'));
    assert.equal(text, 'one two three');
    assert.deepEqual(called.slice(0, 2), ['one', 'two']);
  });

  it('are lost with an error when the gate fails', async () => {
    const gate = new Gate(here);
    here.write('never');
    const failed = new Promise((resolve) => here.once('error', resolve));
    gate.fail(new Error('lost'));
    assert.equal((await failed).message, 'lost');
    assert.equal(text, '');
  });

  it('are finished by another socket when theirs gives its handle away', async () => {
    there.pause();
    let count = 0;
    while (here.write('x'.repeat(65_536), () => {})) count++;
    here.write('the end');
    const handle = internals.detachHandle(here);
    const done = new Promise((resolve) => {
      const writer = finishWrites(here, handle, false, (error) => resolve([error, writer]));
    });
    there.resume();
    const [error, writer] = await done;
    assert.equal(error, null);
    await until(() => text.endsWith('the end'));
    assert.equal(text.length, (count + 1) * 65_536 + 'the end'.length);
    writer.destroy();
    await once(there, 'end');
  });
});
