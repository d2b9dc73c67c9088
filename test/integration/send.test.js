'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction, keepsDescriptors } = require('../helpers/fork-fixture');
const { some } = require('../helpers/scale');
const { killUnnoticed, resume, stop } = require('../helpers/stopped');
const { itIsBetter } = require('../helpers/subject');

const MB = 1024 * 1024;

/** Resolves with what the callback of send() was given. */
function sent(target, message, ...others) {
  return new Promise((resolve) => target.send(message, ...others, resolve));
}

describe('send()', () => {
  let child;

  beforeEach(() => {
    child = forkFixture('echo.js');
  });

  afterEach(async () => {
    if (child.connected) child.disconnect();
    await exited(child);
  });

  describe('checks', () => {
    it('that options are an object', () => {
      for (const options of [null, 'keepOpen', 1, true, [], Symbol('x')]) {
        assert.throws(() => child.send('x', undefined, options), {
          code: 'ERR_INVALID_ARG_TYPE',
          name: 'TypeError',
          message: /^The "options" argument must be of type object\. Received /,
        });
      }
    });

    it('nothing of what it ignores: falsy handles, missing options', async () => {
      const answers = messagesOf(child, 6);
      for (const handle of [undefined, null, 0, '', false]) child.send('with', handle);
      child.send('with', undefined, undefined, undefined);
      assert.deepEqual(await answers, Array(6).fill('with'));
    });

    it('that there is a message', () => {
      const expected = {
        code: 'ERR_MISSING_ARGS',
        name: 'TypeError',
        message: 'The "message" argument must be specified',
      };
      assert.throws(() => child.send(), expected);
      assert.throws(() => child.send(undefined), expected);
      assert.throws(() => child.send(undefined, () => {}), expected);
    });

    it('that the message is a string, an object, a number or a boolean', () => {
      for (const message of [Symbol('x'), () => {}, 1n]) {
        assert.throws(() => child.send(message), {
          code: 'ERR_INVALID_ARG_TYPE',
          name: 'TypeError',
          message:
            /^The "message" argument must be one of type string, object, number, or boolean\. Received /,
        });
      }
    });

    it('the type of the handle', () => {
      for (const handle of ['socket', 1, true, {}, []]) {
        assert.throws(() => child.send('x', handle), {
          code: 'ERR_INVALID_HANDLE_TYPE',
          name: 'TypeError',
          message: 'This handle type cannot be sent',
        });
      }
    });

    it('the message before the handle, and both before anything is sent', async () => {
      assert.throws(() => child.send(undefined, {}), { code: 'ERR_MISSING_ARGS' });
      assert.throws(() => child.send(1n, {}), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => child.send('x', {}), { code: 'ERR_INVALID_HANDLE_TYPE' });
      child.send('only this');
      assert.equal(await nextMessage(child), 'only this');
    });
  });

  it('takes the callback in place of the handle or the options', async () => {
    const answers = messagesOf(child, 3);
    assert.equal(await sent(child, 1), null);
    assert.equal(await sent(child, 2, undefined), null);
    assert.equal(await sent(child, 3, undefined, {}), null);
    assert.deepEqual(await answers, [1, 2, 3]);
  });

  describe('on a closed channel', () => {
    beforeEach(async () => {
      child.disconnect();
      await exited(child);
    });

    it('returns false and tells the callback on the next tick', async () => {
      const order = [];
      const result = child.send('late', (error) => order.push(error.code));
      order.push(result);
      process.nextTick(() => order.push('next tick'));
      await turn();
      assert.deepEqual(order, [false, 'ERR_IPC_CHANNEL_CLOSED', 'next tick']);
    });

    it("emits 'error' when there is no callback", async () => {
      assert.equal(child.send('late'), false);
      const [error] = await once(child, 'error');
      assert.equal(error.code, 'ERR_IPC_CHANNEL_CLOSED');
      assert.equal(error.message, 'Channel closed');
    });

    it('does not look at the message', async () => {
      for (const message of [undefined, 1n, Symbol('x')]) {
        const error = await sent(child, message);
        assert.equal(error.code, 'ERR_IPC_CHANNEL_CLOSED');
      }
    });

    it('still refuses options that are no object', () => {
      assert.throws(() => child.send('x', undefined, null), { code: 'ERR_INVALID_ARG_TYPE' });
    });
  });

  describe("'s callback", () => {
    it('comes before a tick that the caller queues, and before promises, but never at once', async () => {
      const order = [];
      Promise.resolve().then(() => order.push('promise'));
      child.send('x', (error) => order.push(error));
      order.push('returned');
      process.nextTick(() => order.push('tick'));
      await turn();
      assert.deepEqual(order, ['returned', null, 'tick', 'promise']);
    });

    it('comes before such a tick for each send of one turn', async () => {
      const order = [];
      for (let i = 0; i < 3; i++) {
        child.send('x', () => order.push(`sent ${i}`));
        process.nextTick(() => order.push(`tick ${i}`));
      }
      await turn();
      assert.deepEqual(order, ['sent 0', 'tick 0', 'sent 1', 'tick 1', 'sent 2', 'tick 2']);
    });

    it('comes after the message has left, when that takes time', async () => {
      await Promise.all([nextMessage(child), sent(child, 'up')]);
      stop(child);
      let outcome = 'none yet';
      const done = new Promise((resolve) => {
        child.send('x'.repeat(8 * MB), (error) => {
          outcome = error;
          resolve();
        });
      });
      for (let i = 0; i < 5; i++) await turn();
      assert.equal(outcome, 'none yet');
      const answer = nextMessage(child);
      resume(child);
      await done;
      assert.equal(outcome, null);
      assert.equal((await answer).length, 8 * MB);
    });

    it('that throws is an uncaught exception and keeps no other from being called', async () => {
      const codes = [];
      const originals = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.on('uncaughtException', (error) => codes.push(error.message));
      try {
        for (let i = 0; i < 3; i++) {
          child.send(i, () => {
            codes.push(i);
            throw new Error(`of ${i}`);
          });
        }
        await messagesOf(child, 3);
      } finally {
        process.removeAllListeners('uncaughtException');
        for (const listener of originals) process.on('uncaughtException', listener);
      }
      assert.deepEqual(codes, [0, 'of 0', 1, 'of 1', 2, 'of 2']);
    });
  });

  describe('returns', () => {
    it('true below 128 KiB in the queue and false beyond', async () => {
      await Promise.all([nextMessage(child), sent(child, 'up')]);
      stop(child);
      // What the kernel takes does not count: it is filled first.
      while (child.send('x'.repeat(64 * 1024)));
      assert.equal(child.send('x'), false);
      const done = sent(child, 'last');
      resume(child);
      await done;
      assert.equal(child.send('y'), true);
    });

    it('false at once for a message of 3 MB', async () => {
      const answer = nextMessage(child);
      const result = child.send('x'.repeat(3 * MB));
      assert.equal(result, false);
      await answer;
    });

    it('true for a small one, with a callback and without', () => {
      assert.equal(child.send('x'), true);
      assert.equal(
        child.send('x', () => {}),
        true,
      );
    });
  });

  // Stock has no such event.
  itIsBetter(
    "is followed by 'drain' on the child and on process when it returned false",
    async () => {
      const other = forkFunction({ with: [3 * MB] }, (size) => {
        process.once('message', () => {
          process.once('drain', () => process.send('drained', () => process.disconnect()));
          if (process.send('x'.repeat(size))) throw new Error('send() returned true');
        });
      });
      assert.equal(other.send('x'.repeat(3 * MB)), false);
      const answers = messagesOf(other, 2);
      await once(other, 'drain');
      assert.equal((await answers)[1], 'drained');
      await exited(other);
    },
  );

  itIsBetter("emits no 'drain' when it returned true", async () => {
    let drains = 0;
    child.on('drain', () => drains++);
    for (let i = 0; i < 100; i++) assert.equal(child.send(i), true);
    await messagesOf(child, 100);
    assert.equal(drains, 0);
  });

  describe('to a child that died unnoticed', () => {
    beforeEach(async () => {
      child.send('up');
      await nextMessage(child);
      killUnnoticed(child);
    });

    it('returns true and gives the callback EPIPE', async () => {
      let error;
      const result = child.send('lost', (reason) => {
        error = reason;
      });
      assert.equal(result, true);
      await exited(child);
      const { code, syscall, errno, message } = error;
      assert.deepEqual(
        { code, syscall, errno, message },
        { code: 'EPIPE', syscall: 'write', errno: -32, message: 'write EPIPE' },
      );
    });

    it("emits 'error' without a callback", async () => {
      child.send('lost');
      const [error] = await once(child, 'error');
      assert.equal(error.code, 'EPIPE');
    });

    itIsBetter(
      "emits no 'error' for a message of the cluster module, which sends without a callback",
      async () => {
        child.on('error', assert.fail);
        child.send({ cmd: 'NODE_CLUSTER', act: 'newconn', seq: 1 });
        await once(child, 'disconnect');
        await new Promise(setImmediate);
      },
    );

    it('calls every callback of many messages with EPIPE, once, in order', async () => {
      const calls = [];
      for (let i = 0; i < 1000; i++) child.send(i, ({ code }) => calls.push([i, code]));
      await once(child, 'disconnect');
      assert.deepEqual(
        calls,
        Array.from({ length: 1000 }, (_, i) => [i, 'EPIPE']),
      );
    });
  });

  // Stock says success for some of these.
  itIsBetter(
    'gives EPIPE for what was not written when the child is killed in between',
    async () => {
      child.send('up');
      await nextMessage(child);
      stop(child);
      const outcomes = [];
      const count = 20;
      for (let i = 0; i < count; i++) {
        child.send('x'.repeat(MB), (error) => outcomes.push(error?.code ?? null));
      }
      child.kill('SIGKILL');
      await once(child, 'close');
      assert.equal(outcomes.length, count);
      const firstLost = outcomes.indexOf('EPIPE');
      assert.ok(firstLost >= 0 && firstLost < 5, String(outcomes));
      assert.deepEqual(outcomes.slice(firstLost), Array(count - firstLost).fill('EPIPE'));
    },
  );

  it('keeps the process alive until what it sent has left', async () => {
    const other = forkFunction({ with: [3 * MB] }, (size) => process.send('x'.repeat(size)));
    assert.equal((await nextMessage(other)).length, 3 * MB);
    assert.deepEqual(await exited(other), { code: 0, signal: null });
  });

  for (const serialization of some(['json', 'advanced'], 1)) {
    describe(`with serialization '${serialization}'`, () => {
      let other;

      beforeEach(() => {
        other = forkFixture('echo.js', [], { serialization });
      });

      afterEach(async () => {
        other.disconnect();
        await exited(other);
      });

      it('throws at once what cannot be serialized, and sends nothing of it', async () => {
        const circular = {};
        circular.self = circular;
        const throwing = {
          get value() {
            throw new RangeError('from the getter');
          },
        };
        if (serialization === 'json') {
          assert.throws(() => other.send(circular), { name: 'TypeError', message: /circular/i });
          const own = { toJSON: () => throwing.value };
          assert.throws(() => other.send(own), { message: 'from the getter' });
          assert.throws(() => other.send({ big: 1n }), { name: 'TypeError', message: /BigInt/ });
        } else {
          assert.throws(() => other.send({ call: () => {} }), /could not be cloned/);
        }
        assert.throws(() => other.send(throwing), { message: 'from the getter' });
        other.send('only this');
        assert.equal(await nextMessage(other), 'only this');
      });

      it('sends many messages and leaves no descriptor open in the child', async () => {
        other.send('up');
        await nextMessage(other);
        await keepsDescriptors(other, async () => {
          for (let i = 0; i < 100; i++) other.send({ i });
          await messagesOf(other, 100);
        });
      });
    });
  }
});

describe('_send()', () => {
  it('sends without looking at connected; true in place of options swallows errors', async () => {
    const child = forkFixture('echo.js');
    child.send('up');
    await nextMessage(child);
    const answer = nextMessage(child);
    assert.equal(child._send('quiet', undefined, true), true);
    assert.equal(await answer, 'quiet');
    killUnnoticed(child);
    child.on('error', assert.fail);
    child._send('lost', undefined, true);
    await exited(child);
  });
});

describe('an error of a channel', () => {
  itIsBetter('says which process the other end is, and what could have been sent', async () => {
    const child = forkFunction(() => {
      try {
        process.send('x', new URL('file:///'));
      } catch ({ received, accepted }) {
        process.send([received, accepted.includes('net.Socket')]);
      }
      process.once('message', () => {
        process.disconnect();
        process.send('late', ({ code, pid }) => {
          process.exitCode = code === 'ERR_IPC_CHANNEL_CLOSED' && pid === process.ppid ? 7 : 8;
        });
      });
    });
    assert.deepEqual(await nextMessage(child), ['an instance of URL', true]);
    child.send('disconnect');
    assert.deepEqual(await exited(child), { code: 7, signal: null });
    assert.throws(() => child.disconnect(), { code: 'ERR_IPC_DISCONNECTED', pid: child.pid });

    const killed = forkFixture('echo.js');
    killed.send('up');
    await nextMessage(killed);
    killUnnoticed(killed);
    killed.send('lost');
    const [error] = await once(killed, 'error');
    assert.deepEqual([error.code, error.pid], ['EPIPE', killed.pid]);
    await exited(killed);
  });
});

describe('process.send()', () => {
  it('follows the same rules in the child', async () => {
    const child = forkFunction(() => {
      const codeOf = (action) => {
        try {
          return action();
        } catch (error) {
          return error.code;
        }
      };
      const order = [];
      process.send('x', (error) => order.push(error));
      process.nextTick(() => order.push('tick'));
      setImmediate(() => {
        const codes = [
          codeOf(() => process.send()),
          codeOf(() => process.send(1n)),
          codeOf(() => process.send('x', {})),
          codeOf(() => process.send('x', undefined, null)),
        ];
        process.send({ order, codes, large: process.send('x'.repeat(3 << 20)) }, () => {
          process.disconnect();
          const late = process.send('late', ({ code }) => {
            process.exitCode = !late && code === 'ERR_IPC_CHANNEL_CLOSED' ? 7 : 8;
          });
        });
      });
    });
    const [, , report] = await messagesOf(child, 3);
    assert.deepEqual(report, {
      order: [null, 'tick'],
      codes: [
        'ERR_MISSING_ARGS',
        'ERR_INVALID_ARG_TYPE',
        'ERR_INVALID_HANDLE_TYPE',
        'ERR_INVALID_ARG_TYPE',
      ],
      large: false,
    });
    assert.deepEqual(await exited(child), { code: 7, signal: null });
  });
});
