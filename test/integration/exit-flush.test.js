'use strict';

const assert = require('node:assert/strict');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { untilDead } = require('../helpers/stopped');
const { isStock } = require('../helpers/subject');

const MB = 1024 * 1024;

/** Ends of a process behind which nothing of it runs any more. */
const WAYS = {
  'process.exit()': () => process.exit(),
  'process.exit() in a callback of send()': () => process.send('x', () => process.exit()),
  'process.exit() in a listener': () => {
    process.on('something', () => process.exit());
    process.emit('something');
  },
  'process.reallyExit()': () => process.reallyExit(0),
};

// Stock loses what the kernel did not take at once: of 100000 small messages 278 arrive.
(isStock ? describe.skip : describe)('what was sent before the end of the process', () => {
  it('arrives: 100000 small messages and process.exit()', async () => {
    const count = 100_000;
    const child = forkFunction({ with: [count] }, (number) => {
      for (let i = 0; i < number; i++) process.send(i);
      process.exit(3);
    });
    const messages = await messagesOf(child, count);
    assert.ok(messages.every((message, i) => message === i));
    assert.equal((await exited(child)).code, 3);
  });

  it('arrives: 50 MB in one message and in fifty', async () => {
    for (const [count, size] of [
      [1, 50 * MB],
      [50, MB],
    ]) {
      const child = forkFunction({ with: [count, size] }, (number, length) => {
        for (let i = 0; i < number; i++) process.send('x'.repeat(length));
        process.exit(3);
      });
      const messages = await messagesOf(child, count);
      assert.ok(messages.every(({ length }) => length === size));
      assert.equal((await exited(child)).code, 3);
    }
  });

  it('arrives in the child as well when it is the parent that ends', async () => {
    const { stdout, code } = await runFunction({ with: [50 * MB] }, (size) => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(() => {
        const sizes = [];
        process.on('message', ({ length }) => sizes.push(length));
        process.on('disconnect', () => console.log(JSON.stringify(sizes)));
      });
      child.send('small');
      child.send('x'.repeat(size));
      process.exit(3);
    });
    assert.equal(code, 3);
    assert.deepEqual(JSON.parse(stdout), [5, 50 * MB]);
  });

  it('arrives in several children when the parent ends', async () => {
    const { stdout } = await runFunction({ with: [4 * MB] }, (size) => {
      const { forkFunction } = require('../helpers/fork-fixture');
      for (let i = 0; i < 4; i++) {
        const child = forkFunction(() => {
          process.on('message', ({ length }) => console.log(length));
        });
        child.send('x'.repeat(size));
      }
      process.exit();
    });
    assert.equal(stdout, `${4 * MB}\n`.repeat(4));
  });

  for (const [how, end] of Object.entries(WAYS)) {
    it(`arrives when the end is ${how}`, async () => {
      const child = forkFunction({ with: [end.toString(), 3 * MB] }, (source, size) => {
        for (let i = 0; i < 5000; i++) process.send(i);
        process.send('x'.repeat(size));
        require('node:vm').runInThisContext(`(${source})`)();
      });
      const messages = await messagesOf(child, 5001);
      assert.equal(messages[5000].length, 3 * MB);
      assert.equal((await exited(child)).code, 0);
    });
  }

  it('arrives when the end is an uncaught exception', async () => {
    const child = forkFunction({ silent: true, with: [3 * MB] }, (size) => {
      process.send('x'.repeat(size));
      throw new Error('the end');
    });
    assert.equal((await nextMessage(child)).length, 3 * MB);
    assert.equal((await exited(child)).code, 1);
  });

  for (const signal of ['SIGTERM', 'SIGKILL']) {
    it(`arrives when the process sends itself ${signal}`, async () => {
      const child = forkFunction({ with: [3 * MB, signal] }, (size, name) => {
        process.send('x'.repeat(size));
        process.kill(process.pid, name);
      });
      assert.equal((await nextMessage(child)).length, 3 * MB);
      assert.equal((await exited(child)).signal, signal);
    });
  }

  it('arrives when the end is process.abort()', async () => {
    const child = forkFunction({ silent: true, with: [3 * MB] }, (size) => {
      process.send('x'.repeat(size));
      process.abort();
    });
    assert.equal((await nextMessage(child)).length, 3 * MB);
    assert.equal((await exited(child)).signal, 'SIGABRT');
  });

  it("arrives also if it was sent in an 'exit' listener", async () => {
    const child = forkFunction({ with: [3 * MB] }, (size) => {
      process.on('exit', () => {
        process.send('x'.repeat(size));
        process.send('last');
      });
      process.send('first');
    });
    const messages = await messagesOf(child, 3);
    assert.deepEqual([messages[0], messages[1].length, messages[2]], ['first', 3 * MB, 'last']);
    await exited(child);
  });

  it('arrives when the receiver is late', async () => {
    const child = forkFunction({ with: [8 * MB] }, (size) => {
      process.on('message', () => {
        process.send('x'.repeat(size));
        process.exit();
      });
      process.send('up');
    });
    await nextMessage(child);
    child.send('go');
    const answer = nextMessage(child);
    // Busy for some time, but less than the child's patience.
    const end = performance.now() + 200;
    while (performance.now() < end);
    assert.equal((await answer).length, 8 * MB);
    await exited(child);
  });

  it('holds neither end up when both flush at each other', async () => {
    const { code, stdout } = await runFunction({ with: [20 * MB] }, (size) => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction({ with: [size] }, (length) => {
        process.on('message', () => {
          process.send('x'.repeat(length));
          process.exit();
        });
        process.send('up');
      });
      child.on('message', () => {
        child.send('go');
        child.send('x'.repeat(size));
        console.log('exits');
        process.exit();
      });
    });
    // run() has read the output of both to its end.
    assert.equal(stdout, 'exits\n');
    assert.equal(code, 0);
  });

  it('holds the process for about half a second when nobody reads', async () => {
    const child = forkFunction({ with: [40 * MB] }, (size) => {
      process.on('message', () => {
        process.send('x'.repeat(size));
        process.exit(3);
      });
      process.send('up');
    });
    await nextMessage(child);
    child.send('go');
    const start = performance.now();
    untilDead(child);
    const took = performance.now() - start;
    assert.ok(took > 400 && took < 4000, `it took ${took} ms`);
    assert.equal((await exited(child)).code, 3);
  });
});
