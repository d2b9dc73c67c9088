'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { exited, messagesOf, nextMessage, record } = require('../helpers/events');
const { fixture, forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');
const { isLong, some } = require('../helpers/scale');
const { resume, stop, untilDead, untilStopped } = require('../helpers/stopped');
const { itIsBetter } = require('../helpers/subject');

const MB = 1024 * 1024;
const REGISTER = require.resolve('../../lib/register');

const ENDS = ['disconnect', 'exit', 'close'];

/** What a user sees of a channel that has ended. */
function assertEnded(child) {
  assert.equal(child.connected, false);
  assert.equal(child.channel, null);
  assert.equal(typeof child.send, 'function');
  assert.equal(typeof child.disconnect, 'function');
}

describe('disconnect()', () => {
  it('takes effect at once and is reported on the next tick', async () => {
    const child = forkFixture('idle.js');
    await nextMessage(child);
    await turn(); // within a listener it comes when what was read together with its message is delivered
    const order = [];
    child.on('disconnect', () => order.push('disconnect'));
    assert.equal(child.connected, true);
    child.disconnect();
    assert.equal(child.connected, false);
    order.push('returned');
    process.nextTick(() => order.push('tick'));
    await turn();
    assert.deepEqual(order, ['returned', 'disconnect', 'tick']);
    assertEnded(child);
    await exited(child);
  });

  itIsBetter('has what comes around it in the order of stock, on both ends', async () => {
    const program = [fixture('leave-orders.js'), ...(isLong ? [] : ['some'])];
    const start = (args) => run(process.execPath, [...args, ...program]);
    const [stock, ours] = await Promise.all([start([]), start(['--require', REGISTER])]);
    assert.equal(ours.stderr, '');
    const orders = JSON.parse(ours.stdout);
    assert.deepEqual(orders, JSON.parse(stock.stdout));
    assert.equal(Object.keys(orders).length, isLong ? 16 : 3);
    for (const seen of Object.values(orders)) assert.ok(seen.includes('disconnect false null'));
  });

  for (const where of ['in a listener', 'behind a large message']) {
    it(`leaves channel null at once ${where}, and a second one is an error`, async () => {
      const child = forkFixture('idle.js');
      const seen = [];
      child.on('error', ({ code }) => seen.push(code));
      const end = () => {
        if (where !== 'in a listener') child.send('x'.repeat(10 * MB));
        child.disconnect();
        seen.push(child.connected, child.channel);
        child.disconnect();
      };
      if (where === 'in a listener') child.on('message', end);
      else child.once('message', () => setImmediate(end));
      const disconnected = new Promise((resolve) => child.once('disconnect', resolve));
      await Promise.all([disconnected, new Promise((resolve) => child.once('exit', resolve))]);
      assert.deepEqual(seen, [false, null, 'ERR_IPC_DISCONNECTED']);
    });
  }

  it('ends the channel for the child, which then ends by itself', async () => {
    const child = forkFunction(() => {
      process.on('disconnect', () => {
        const { connected, channel, send } = process;
        const isRight = connected === false && channel === null && typeof send === 'function';
        process.exitCode = isRight ? 7 : 1;
      });
      process.send('up');
    });
    await nextMessage(child);
    child.disconnect();
    assert.deepEqual(await exited(child), { code: 7, signal: null });
  });

  it('of the child shows there and here', async () => {
    const child = forkFunction(() => {
      const seen = [process.connected, process.channel !== null];
      process.disconnect();
      seen.push(process.connected);
      process.on('disconnect', () => {
        seen.push(process.connected, process.channel, typeof process.send);
        const expected = [true, true, false, false, null, 'function'];
        process.exitCode = JSON.stringify(seen) === JSON.stringify(expected) ? 7 : 1;
      });
    });
    await once(child, 'disconnect');
    assertEnded(child);
    assert.deepEqual(await exited(child), { code: 7, signal: null });
  });

  it('lets a child end that has nothing else to do, whatever it listens to later', async () => {
    const child = forkFunction(() => {
      process.on('message', () => {});
      process.disconnect();
      process.on('message', () => {});
      process.on('disconnect', () => process.on('message', () => {}));
    });
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  for (const size of some([1000, 100_000], 1)) {
    it(`right after send() loses nothing of ${size} bytes`, async () => {
      const child = forkFunction(() => {
        process.on('message', ({ length }) => {
          process.exitCode = length === 1000 ? 7 : 8;
        });
      });
      child.send('x'.repeat(size));
      child.disconnect();
      assert.equal((await exited(child)).code, size === 1000 ? 7 : 8);
    });
  }

  // Stock throws away what is still in its queue, and says success.
  itIsBetter('right after send() loses nothing of 30 MB, and the callbacks are true', async () => {
    const child = forkFunction({ with: [MB] }, (size) => {
      let received = 0;
      process.on('message', ({ length }) => {
        received += length;
        process.exitCode = received / size;
      });
    });
    const outcomes = [];
    const all = new Promise((resolve) => {
      const note = (error) => outcomes.push(error) === 30 && resolve();
      for (let i = 0; i < 30; i++) child.send('x'.repeat(MB), note);
    });
    child.disconnect();
    await all;
    assert.deepEqual(outcomes, Array(30).fill(null));
    assert.equal((await exited(child)).code, 30);
  });

  itIsBetter('of the child right after process.send() loses nothing of 30 MB', async () => {
    const child = forkFunction({ with: [MB] }, (size) => {
      for (let i = 0; i < 30; i++) process.send('x'.repeat(size));
      process.disconnect();
    });
    const messages = await messagesOf(child, 30);
    assert.ok(messages.every(({ length }) => length === MB));
    assert.equal((await exited(child)).code, 0);
  });

  itIsBetter('right after 100000 small messages loses none of them', async () => {
    const count = 100_000;
    const child = forkFunction({ with: [count] }, (expected) => {
      let next = 0;
      process.on('message', (message) => {
        if (message !== next++) process.exit(1);
        if (next === expected) process.exitCode = 7;
      });
    });
    for (let i = 0; i < count; i++) child.send(i);
    child.disconnect();
    assert.equal((await exited(child)).code, 7);
  });

  it("is possible before the child runs: it then gets 'disconnect'", async () => {
    const child = forkFunction(() => {
      process.on('disconnect', () => {
        process.exitCode = 7;
      });
    });
    child.disconnect();
    assert.equal((await exited(child)).code, 7);
  });

  it('is possible in a listener, a callback of send() and a listener of the child', async () => {
    const inListener = forkFixture('idle.js');
    inListener.on('message', () => inListener.disconnect());
    const inCallback = forkFixture('idle.js');
    inCallback.send('x', () => inCallback.disconnect());
    const inChild = forkFunction(() => process.on('message', () => process.disconnect()));
    inChild.send('x');
    for (const child of [inListener, inCallback, inChild]) {
      await exited(child);
      assertEnded(child);
    }
  });

  it("is an error in a listener of 'disconnect' and of 'exit', where there is no channel any more", async () => {
    const child = forkFixture('idle.js');
    const codes = [];
    for (const name of ['disconnect', 'exit']) {
      child.on(name, () => {
        assert.equal(child.connected, false);
        try {
          child.disconnect();
        } catch ({ code }) {
          codes.push(code);
        }
      });
    }
    await nextMessage(child);
    child.disconnect();
    await exited(child);
    assert.deepEqual(codes, ['ERR_IPC_DISCONNECTED', 'ERR_IPC_DISCONNECTED']);
  });

  it('may come from both sides at once', async () => {
    for (let i = 0; i < (isLong ? 5 : 2); i++) {
      const child = forkFunction(() => {
        process.on('message', () => process.disconnect());
        process.send('up');
      });
      const seen = record(child, ['disconnect', 'exit']);
      await nextMessage(child);
      stop(child);
      child.send('x');
      child.disconnect();
      resume(child);
      assert.deepEqual(await exited(child), { code: 0, signal: null });
      await turn();
      assert.deepEqual(seen, ['disconnect', 'exit']);
    }
  });

  it("for a second time is an 'error', emitted at once", async () => {
    const child = forkFixture('idle.js');
    child.disconnect();
    const expected = {
      code: 'ERR_IPC_DISCONNECTED',
      message: 'IPC channel is already disconnected',
    };
    assert.throws(() => child.disconnect(), expected);
    let error;
    child.on('error', (reason) => {
      error = reason;
    });
    child.disconnect();
    assert.equal(error.code, 'ERR_IPC_DISCONNECTED');
    await exited(child);
    assert.equal(child.connected, false);
  });

  it('for a second time throws in the child as well', async () => {
    const child = forkFunction(() => {
      process.disconnect();
      try {
        process.disconnect();
      } catch ({ code }) {
        process.exitCode = code === 'ERR_IPC_DISCONNECTED' ? 7 : 1;
      }
    });
    assert.equal((await exited(child)).code, 7);
  });

  it('after the child has ended is the same error', async () => {
    const child = forkFunction(() => {});
    await exited(child);
    if (child.connected) await once(child, 'disconnect');
    assert.throws(() => child.disconnect(), { code: 'ERR_IPC_DISCONNECTED' });
  });

  it('delivers nothing that is read afterwards', async () => {
    const child = forkFunction(() => {
      process.on('message', () => {
        process.send('late', () => process.kill(process.pid, 'SIGSTOP'));
      });
      process.send('up');
    });
    await nextMessage(child);
    child.on('message', assert.fail);
    child.send('answer');
    await turn(); // it has left; the answer cannot be here yet
    untilStopped(child);
    child.disconnect();
    resume(child);
    await exited(child);
    await turn();
  });
});

describe("the parent's events", () => {
  const COUNT = 50;

  /** The children's ways to end; each sends COUNT messages before. */
  const ways = {
    'ends by itself': (count) => {
      for (let i = 0; i < count; i++) process.send(i);
    },
    'disconnects first': (count) => {
      for (let i = 0; i < count; i++) process.send(i);
      process.disconnect();
    },
    'calls process.exit()': (count) => {
      for (let i = 0; i < count; i++) process.send(i);
      process.exit(0);
    },
    'calls process.exit() later': (count) => {
      for (let i = 0; i < count; i++) process.send(i);
      setTimeout(() => process.exit(0), 1);
    },
    'kills itself': (count) => {
      for (let i = 0; i < count; i++) process.send(i);
      setImmediate(() => process.kill(process.pid, 'SIGKILL'));
    },
  };

  for (const [how, body] of Object.entries(ways)) {
    // Stock may emit 'exit' and 'close' first, when it notices the exit first.
    itIsBetter(`are message, disconnect, exit, close when the child ${how}`, async () => {
      const child = forkFunction({ with: [COUNT] }, body);
      const seen = record(child, ['message', ...ENDS]);
      let connectedAtExit;
      child.on('exit', () => {
        connectedAtExit = child.connected;
      });
      await once(child, 'close');
      await turn();
      assert.deepEqual(seen, [...Array(COUNT).fill('message'), ...ENDS]);
      assert.equal(connectedAtExit, false);
      assertEnded(child);
    });
  }

  itIsBetter('are the same when the parent is late and finds all of it together', async () => {
    const child = forkFunction({ with: [COUNT] }, (count) => {
      for (let i = 0; i < count; i++) process.send(i);
    });
    const seen = record(child, ['message', ...ENDS]);
    untilDead(child);
    await once(child, 'close');
    await turn();
    assert.deepEqual(seen, [...Array(COUNT).fill('message'), ...ENDS]);
  });

  // Stock never emits it.
  itIsBetter("include 'close' after the parent's own disconnect()", async () => {
    const child = forkFixture('idle.js');
    const seen = record(child, ENDS);
    child.disconnect();
    const [code, signal] = await once(child, 'close');
    assert.deepEqual([code, signal], [0, null]);
    await turn();
    assert.deepEqual(seen, ENDS);
  });

  itIsBetter("'close' waits for the pipes of the child as well", async () => {
    const child = forkFunction({ silent: true }, () => console.log('x'.repeat(100_000)));
    let size = 0;
    child.stdout.on('data', ({ length }) => {
      size += length;
    });
    child.disconnect();
    await once(child, 'close');
    assert.equal(size, 100_001);
  });

  it("'close' comes with the exit code when the child disconnects long before it ends", async () => {
    const child = forkFunction({ silent: true }, () => {
      process.disconnect();
      process.stdin.once('data', () => process.exit(3));
    });
    const seen = record(child, ENDS);
    await once(child, 'disconnect');
    child.stdin.end('now');
    assert.deepEqual(await once(child, 'close'), [3, null]);
    assert.deepEqual(seen, ENDS);
  });

  it("'disconnect' comes once, whoever ends the channel", async () => {
    const child = forkFunction({ silent: true }, () => {
      process.disconnect();
      process.stdin.resume();
    });
    const seen = record(child, ['disconnect']);
    await once(child, 'disconnect');
    child.kill();
    await exited(child);
    await turn();
    assert.deepEqual(seen, ['disconnect']);
  });
});
