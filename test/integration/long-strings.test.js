'use strict';

const assert = require('node:assert/strict');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { itIsBetter } = require('../helpers/subject');

const MIB = 1 << 20;
const makeMessage = (i) => ({
  id: i,
  text: 'x'.repeat(MIB) + i,
  list: [{ wide: '日'.repeat(100_000) + i }, 'short', i],
});

describe('messages with long strings', () => {
  it('arrive whole and in order, among others, in both directions', async () => {
    const child = forkFixture('echo.js');
    const sent = Array.from({ length: 24 }, (_, i) => (i % 4 === 3 ? { id: i } : makeMessage(i)));
    const received = messagesOf(child, sent.length);
    for (const message of sent) child.send(message);
    assert.deepEqual(await received, sent);
    child.disconnect();
    await exited(child);
  });

  it('may be internal ones', async () => {
    const child = forkFunction(() => {
      process.on('message', (message) => process.send(message.id));
      process.on('internalMessage', ({ id }) => process.send(`internal ${id}`));
    });
    const received = messagesOf(child, 6);
    for (let i = 0; i < 6; i++) {
      child.send({ ...makeMessage(i), ...(i % 2 === 0 ? {} : { cmd: 'NODE_X' }) });
    }
    const expected = [0, 'internal 1', 2, 'internal 3', 4, 'internal 5'];
    assert.deepEqual((await received).toSorted(), expected.toSorted());
    child.disconnect();
    await exited(child);
  });

  itIsBetter('leave as a text until the peer has said that it takes them otherwise', async () => {
    const child = forkFunction({ env: { ...process.env, FORKWIRE_DISABLE: 'strings' } }, () => {
      process.on('message', ({ text }) => process.send(text.length));
    });
    for (let i = 0; i < 4; i++) {
      child.send(makeMessage(i));
      assert.equal(await nextMessage(child), MIB + 1);
    }
    child.disconnect();
    await exited(child);
  });
});
