'use strict';

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { killUnnoticed, resume, stop } = require('../helpers/stopped');

const context = new AsyncLocalStorage();

/** Resolves with the store in which the event's listener runs; it is added in another one. */
function storeAt(emitter, event) {
  return new Promise((resolve) => {
    context.run('on', () => emitter.once(event, () => resolve(context.getStore())));
  });
}

describe('the async context of fork()', () => {
  let child;

  beforeEach(() => {
    context.run('fork', () => {
      child = forkFixture('echo.js');
    });
  });

  afterEach(async () => {
    if (child.connected) child.disconnect();
    await exited(child);
  });

  it('is that of message listeners, and of what they start', async () => {
    const stores = [];
    context.run('on', () => {
      child.on('message', async (message) => {
        stores.push(context.getStore());
        process.nextTick(() => stores.push(`tick: ${context.getStore()}`));
        await null;
        stores.push(`promise: ${context.getStore()}`);
        if (message === 'last') child.emit('all');
      });
    });
    context.run('send', () => child.send('last'));
    await once(child, 'all');
    assert.deepEqual(stores.toSorted(), ['fork', 'promise: fork', 'tick: fork']);
  });

  it('is entered anew for each message: what a listener enters does not leak', async () => {
    const stores = [];
    const done = messagesOf(child, 20);
    child.on('message', (message) => {
      stores.push(context.getStore());
      context.enterWith(`message ${message}`);
    });
    for (let i = 0; i < 20; i++) child.send(i);
    await done;
    assert.deepEqual(stores, Array(20).fill('fork'));
    assert.equal(context.getStore(), undefined);
  });

  it('is that of on() for messages that were kept for it', async () => {
    const sender = context.run('fork', () =>
      forkFunction(() => {
        process.send('kept');
        process.send({ cmd: 'NODE_SENT' });
      }),
    );
    await once(sender, 'internalMessage');
    await turn();
    assert.equal(await storeAt(sender, 'message'), 'on');
    await exited(sender);
  });

  it("is that of 'internalMessage', 'disconnect' by the child, and 'exit'", async () => {
    const other = context.run('fork', () =>
      forkFunction(() => {
        process.send({ cmd: 'NODE_X' });
        process.disconnect();
      }),
    );
    const events = ['internalMessage', 'disconnect', 'exit'];
    const stores = await Promise.all(events.map((event) => storeAt(other, event)));
    assert.deepEqual(stores, ['fork', 'fork', 'fork']);
  });

  it('is kept apart between two children', async () => {
    const other = context.run('other fork', () => forkFixture('echo.js'));
    const stores = [storeAt(child, 'message'), storeAt(other, 'message')];
    child.send('x');
    other.send('x');
    assert.deepEqual(await Promise.all(stores), ['fork', 'other fork']);
    other.disconnect();
    await exited(other);
  });
});

describe('the async context of send()', () => {
  let child;

  beforeEach(async () => {
    child = context.run('fork', () => forkFixture('echo.js'));
    child.send('up');
    await nextMessage(child);
  });

  afterEach(async () => {
    if (child.connected) child.disconnect();
    await exited(child);
  });

  /** Resolves with the store of the callback of a send() in the context `name`, and its error. */
  function sentIn(name, message) {
    return new Promise((resolve) => {
      context.run(name, () => {
        child.send(message, (error) => resolve([context.getStore(), error?.code ?? null]));
      });
    });
  }

  it('is that of its callback', async () => {
    const all = [sentIn('one', 1), sentIn('two', 2), sentIn('three', 3)];
    assert.deepEqual(await Promise.all(all), [
      ['one', null],
      ['two', null],
      ['three', null],
    ]);
  });

  it('is that of its callback when the message could not leave at once', async () => {
    const answers = messagesOf(child, 2);
    stop(child);
    const all = [sentIn('one', 'x'.repeat(8 << 20)), sentIn('two', 'y')];
    await turn();
    resume(child);
    assert.deepEqual(await Promise.all(all), [
      ['one', null],
      ['two', null],
    ]);
    await answers;
  });

  it('is that of its callback when the child is dead or the channel closed', async () => {
    killUnnoticed(child);
    assert.deepEqual(await sentIn('dead', 'x'), ['dead', 'EPIPE']);
    await exited(child);
    if (child.connected) await once(child, 'disconnect');
    assert.deepEqual(await sentIn('closed', 'x'), ['closed', 'ERR_IPC_CHANNEL_CLOSED']);
  });

  it("is that of the 'error' without a callback", async () => {
    child.disconnect();
    const store = storeAt(child, 'error');
    context.run('send', () => child.send('x'));
    assert.equal(await store, 'send');
  });
});

describe('the async context in a child', () => {
  it('is that of process.send() for its callback, and none for listeners', async () => {
    const child = forkFunction(() => {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const context = new AsyncLocalStorage();
      const stores = [];
      context.run('on', () => {
        process.on('message', () => {
          stores.push(String(context.getStore()));
          context.run('send', () => {
            process.send('x', () => {
              stores.push(context.getStore());
              process.send(stores, () => process.disconnect());
            });
          });
        });
      });
    });
    child.send('go');
    const [, stores] = await messagesOf(child, 2);
    assert.deepEqual(stores, ['undefined', 'send']);
    await exited(child);
  });
});
