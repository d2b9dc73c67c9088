'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { descriptorsOf } = require('../helpers/descriptors');
const { exited, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { isAsleep } = require('../helpers/processes');
const { runFunction } = require('../helpers/run');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const ENDED = { code: 0, signal: null };

/** A child that must stay alive: it has gone to sleep in its loop, and lives. */
async function assertStays(child) {
  await nextMessage(child);
  await until(() => child.exitCode !== null || isAsleep(child.pid), 'the child waits or has ended');
  assert.equal(child.exitCode, null);
}

async function release(child) {
  child.disconnect();
  assert.deepEqual(await exited(child), ENDED);
}

describe('a child', () => {
  it('ends when it has nothing to do and does not listen', async () => {
    const child = forkFunction(() => process.send('up'));
    assert.deepEqual(await exited(child), ENDED);
  });

  it('does not end early because it sent something', async () => {
    const child = forkFunction(() => {
      process.send('up');
      setTimeout(() => process.send('later'), 5);
    });
    assert.equal(await nextMessage(child), 'up');
    assert.equal(await nextMessage(child), 'later');
    assert.deepEqual(await exited(child), ENDED);
  });

  for (const event of ['message', 'disconnect']) {
    it(`stays alive while it listens to '${event}'`, async () => {
      const child = forkFunction({ with: [event] }, (name) => {
        process.on(name, () => {});
        process.send('up');
      });
      await assertStays(child);
      await release(child);
    });

    it(`ends when it removed its last listener for '${event}'`, async () => {
      const child = forkFunction({ with: [event] }, (name) => {
        const listeners = [() => {}, () => {}];
        for (const listener of listeners) process.on(name, listener);
        for (const listener of listeners) process.removeListener(name, listener);
        process.send('up');
      });
      assert.deepEqual(await exited(child), ENDED);
    });
  }

  it('stays alive while one listener of several is left', async () => {
    const child = forkFunction(() => {
      const listener = () => {};
      process.on('message', listener);
      process.on('disconnect', () => {});
      process.removeListener('message', listener);
      process.send('up');
    });
    await assertStays(child);
    await release(child);
  });

  it("does not stay alive for 'internalMessage'", async () => {
    const child = forkFunction(() => process.on('internalMessage', () => {}));
    assert.deepEqual(await exited(child), ENDED);
  });

  it('stays alive for a once() listener until it was called', async () => {
    const child = forkFunction(() => {
      process.once('message', () => {});
      process.send('up');
    });
    await assertStays(child);
    child.send('x');
    assert.deepEqual(await exited(child), ENDED);
  });

  it('ends when all listeners are removed at once', async () => {
    const child = forkFunction(() => {
      process.on('message', () => {});
      process.on('message', () => {});
      process.removeAllListeners('message');
    });
    assert.deepEqual(await exited(child), ENDED);
  });

  it('ends when its parent is killed', async () => {
    const parent = forkFunction({ stdio: ['ignore', 'pipe', 'inherit', 'ipc'] }, () => {
      const { forkFixture } = require('../helpers/fork-fixture');
      const child = forkFixture('idle.js');
      child.on('message', () => process.send(child.pid));
    });
    const pid = await nextMessage(parent);
    parent.kill('SIGKILL');
    // The grandchild holds the pipe as well: its end is that of both.
    await once(parent, 'close');
    assert.equal(descriptorsOf(pid).size, 0);
  });
});

describe("a child's channel", () => {
  it('keeps it alive after ref(), without a listener', async () => {
    const child = forkFunction(() => {
      process.channel.ref();
      process.send('up');
    });
    await assertStays(child);
    await release(child);
  });

  it('does not keep it alive after unref(), with listeners', async () => {
    const child = forkFunction(() => {
      process.channel.unref();
      process.on('message', () => {});
      process.on('disconnect', () => {});
    });
    assert.deepEqual(await exited(child), ENDED);
  });

  it('obeys the last of ref() and unref(), and no listener afterwards', async () => {
    const kept = forkFunction(() => {
      const listener = () => {};
      process.channel.unref();
      process.channel.ref();
      process.on('message', listener);
      process.removeListener('message', listener);
      process.send('up');
    });
    await assertStays(kept);
    await release(kept);
    const ended = forkFunction(() => {
      process.on('message', () => {});
      process.channel.ref();
      process.channel.unref();
    });
    assert.deepEqual(await exited(ended), ENDED);
  });

  it('counts refCounted() and unrefCounted() with the listeners', async () => {
    const kept = forkFunction(() => {
      const listener = () => {};
      process.on('message', listener);
      process.channel.refCounted();
      process.removeListener('message', listener);
      process.send('up');
    });
    await assertStays(kept);
    await release(kept);
    const ended = forkFunction(() => {
      process.channel.refCounted();
      process.channel.refCounted();
      process.channel.unrefCounted();
      process.channel.unrefCounted();
    });
    assert.deepEqual(await exited(ended), ENDED);
  });

  it("emits 'unref' when the count comes to nothing, and only then", async () => {
    const child = forkFunction(() => {
      let count = 0;
      process.channel.on('unref', () => count++);
      process.channel.refCounted();
      process.channel.refCounted();
      process.channel.unrefCounted();
      const before = count;
      process.channel.unrefCounted();
      process.exitCode = before === 0 && count === 1 ? 7 : 1;
    });
    assert.equal((await exited(child)).code, 7);
  });

  it('still delivers after unref()', async () => {
    const child = forkFunction(() => {
      process.channel.unref();
      process.on('message', (message) => process.send(message, () => process.exit(7)));
      setInterval(() => {}, 1000);
    });
    child.send('x');
    assert.equal(await nextMessage(child), 'x');
    assert.equal((await exited(child)).code, 7);
  });

  it('keeps it alive while something is still to be written, also after unref()', async () => {
    const child = forkFunction(() => {
      process.channel.unref();
      process.send('x'.repeat(3 << 20));
    });
    assert.equal((await nextMessage(child)).length, 3 << 20);
    assert.deepEqual(await exited(child), ENDED);
  });

  it('shows its descriptor, and nothing of its state', async () => {
    const child = forkFunction({ stdio: ['ignore', 'inherit', 'inherit', 'ignore', 'ipc'] }, () => {
      const { channel } = process;
      process.send([channel.fd, channel.hasRef === undefined]);
    });
    const { fd } = child.channel;
    assert.match(descriptorsOf().get(fd), /^socket:/);
    assert.equal(child.channel.hasRef, undefined);
    assert.deepEqual(await nextMessage(child), [4, true]);
    await exited(child);
  });

  it('has no descriptor any more after the end', async () => {
    const child = forkFixture('idle.js');
    const { channel } = child;
    await nextMessage(child);
    await turn();
    assert.equal(typeof channel.fd, 'number');
    child.disconnect();
    await exited(child);
    await turn();
    assert.notEqual(typeof channel.fd === 'number' && channel.fd >= 0, true);
    channel.ref();
    channel.unref();
    channel.refCounted();
    channel.unrefCounted();
  });
});

describe('a parent', () => {
  it('stays alive for the channel, also when the child itself is unreferenced', async () => {
    const { stdout, code } = await runFunction(() => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(() => setTimeout(() => process.send('later'), 20));
      child.unref();
      child.on('message', (message) => console.log(message));
    });
    assert.equal(stdout, 'later\n');
    assert.equal(code, 0);
  });

  it('stays alive for the channel without any listener', async () => {
    const { stdout, code } = await runFunction(() => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(() => {
        process.on('exit', () => console.log('child'));
        setTimeout(() => {}, 20);
      });
      child.unref();
      process.on('exit', () => console.log('parent'));
    });
    assert.equal(stdout, 'child\nparent\n');
    assert.equal(code, 0);
  });

  it('may end before the child when both are unreferenced', async () => {
    const { stdout, code } = await runFunction(() => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(() => {
        process.on('disconnect', () => console.log('child'));
        process.send('up');
      });
      child.once('message', () => {
        child.unref();
        child.channel.unref();
        process.on('exit', () => console.log('parent'));
      });
    });
    assert.equal(stdout, 'parent\nchild\n');
    assert.equal(code, 0);
  });

  it('may end once it disconnected, while the child goes on', async () => {
    const { stdout, code } = await runFunction(() => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(() => {
        const parent = process.ppid;
        process.on('disconnect', () => {
          const waiting = setInterval(() => {
            if (process.ppid === parent) return;
            console.log('child');
            clearInterval(waiting);
          }, 5);
        });
        process.send('up');
      });
      child.once('message', () => {
        child.unref();
        child.disconnect();
        process.on('exit', () => console.log('parent'));
      });
    });
    assert.equal(stdout, 'parent\nchild\n');
    assert.equal(code, 0);
  });

  it('delivers what it sent before it ends by itself', async () => {
    const { stdout, code } = await runFunction(() => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(() => {
        process.on('message', ({ length }) => console.log(length));
      });
      child.send('x'.repeat(3 << 20));
      child.unref();
      child.channel.unref();
    });
    assert.equal(stdout, `${3 << 20}\n`);
    assert.equal(code, 0);
  });

  itIsBetter('that is unreferenced still gets its callbacks and drains', async () => {
    const { stdout } = await runFunction(() => {
      const { forkFixture } = require('../helpers/fork-fixture');
      const child = forkFixture('sink.js');
      child.unref();
      child.channel.unref();
      child.send('x'.repeat(8 << 20), (error) => console.log(error));
    });
    assert.equal(stdout, 'null\n');
  });
});
