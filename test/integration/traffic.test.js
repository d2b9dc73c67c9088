'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction, keepsDescriptors } = require('../helpers/fork-fixture');
const { assertGrowth } = require('../helpers/memory');
const { some } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');

const COUNT = 100_000;
const MB = 1024 * 1024;

/** Whether it is 0, 1, 2, ... (a deepEqual of so many takes longer than the test). */
function countsUp(list, count) {
  return list.length === count && list.every((value, i) => value === i);
}

describe('100000 small messages', () => {
  for (const serialization of some(['json', 'advanced'], 1)) {
    it(`arrive in order, to the child and back, every callback once and in order (${serialization})`, async () => {
      const child = forkFixture('echo.js', [], { serialization });
      const called = [];
      const answers = messagesOf(child, COUNT);
      for (let i = 0; i < COUNT; i++) {
        child.send(i, (error) => {
          assert.equal(error, null);
          called.push(i);
        });
      }
      assert.ok(countsUp(await answers, COUNT));
      assert.ok(countsUp(called, COUNT));
      child.disconnect();
      await exited(child);
    });
  }

  it('arrive both ways at once, as objects, and leave no descriptor behind', async () => {
    const child = forkFunction({ with: [COUNT] }, (count) => {
      let called = 0;
      let inOrder = true;
      let next = 0;
      process.on('message', ({ i }) => {
        inOrder &&= i === next++;
        if (next === count) process.send({ inOrder, called });
      });
      for (let i = 0; i < count; i++) process.send({ i, text: 'some text' }, () => called++);
    });
    await nextMessage(child);
    const answers = messagesOf(child, COUNT);
    await keepsDescriptors(child, async () => {
      for (let i = 0; i < COUNT; i++) child.send({ i, text: 'some text' });
      const messages = await answers;
      const report = messages.pop();
      assert.deepEqual(report, { inOrder: true, called: COUNT });
      assert.ok(messages.every(({ i }, position) => i === position + 1));
    });
    child.disconnect();
    await exited(child);
  });

  it('arrive in order when each waits for the callback of the one before', async () => {
    const child = forkFixture('sink.js');
    const count = 2000;
    for (let i = 0; i < count; i++) {
      await new Promise((resolve) => child.send(i, resolve));
    }
    child.send('count');
    assert.equal(await nextMessage(child), count);
    child.disconnect();
    await exited(child);
  });

  it('come to several children at once', async () => {
    const children = Array.from({ length: 4 }, () => forkFixture('echo.js'));
    const answers = children.map((child) => messagesOf(child, 5000));
    for (let i = 0; i < 5000; i++) for (const child of children) child.send(i);
    for (const answer of answers) assert.ok(countsUp(await answer, 5000));
    for (const child of children) child.disconnect();
    await Promise.all(children.map(exited));
  });
});

describe('a sender that heeds the return value', () => {
  // Stock has no 'drain'; its own advice is the callback.
  itIsBetter("gets through 64 MB with little in the queue, going on at 'drain'", async () => {
    const child = forkFunction(() => {
      let size = 0;
      process.on('message', (message) => {
        if (message === 'size') process.send(size);
        else size += message.length;
      });
    });
    const before = process.memoryUsage().rss;
    let drains = 0;
    for (let i = 0; i < 64; i++) {
      if (child.send('x'.repeat(MB))) continue;
      drains++;
      await once(child, 'drain');
    }
    assert.ok(drains > 10, `${drains} times`);
    assertGrowth(process.memoryUsage().rss - before, 48 * MB);
    child.send('size');
    assert.equal(await nextMessage(child), 64 * MB);
    child.disconnect();
    await exited(child);
  });
});
