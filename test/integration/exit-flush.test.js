'use strict';

const assert = require('node:assert/strict');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { some } = require('../helpers/scale');
const { sleep, untilDead } = require('../helpers/stopped');
const { isStock } = require('../helpers/subject');

const MB = 1024 * 1024;

// On a busy machine the other end may not run for longer than the half second that is the default.
const PATIENT = { exitFlush: { stall: 15_000, total: 30_000 } };

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
    const child = forkFunction({ ...PATIENT, with: [count] }, (number) => {
      for (let i = 0; i < number; i++) process.send(i);
      process.exit(3);
    });
    const messages = await messagesOf(child, count);
    assert.ok(messages.every((message, i) => message === i));
    assert.equal((await exited(child)).code, 3);
  });

  it('arrives: 50 MB in one message and in fifty', async () => {
    const all = [
      [1, 50 * MB],
      [50, MB],
    ];
    for (const [count, size] of some(all, -1)) {
      const child = forkFunction({ ...PATIENT, with: [count, size] }, (number, length) => {
        for (let i = 0; i < number; i++) process.send('x'.repeat(length));
        process.exit(3);
      });
      const messages = await messagesOf(child, count);
      assert.ok(messages.every(({ length }) => length === size));
      assert.equal((await exited(child)).code, 3);
    }
  });

  it('arrives in the child as well when it is the parent that ends', async () => {
    const { stdout, code } = await runFunction({ with: [50 * MB, PATIENT] }, (size, patient) => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const child = forkFunction(patient, () => {
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
    const { stdout } = await runFunction({ with: [4 * MB, PATIENT] }, (size, patient) => {
      const { forkFunction } = require('../helpers/fork-fixture');
      for (let i = 0; i < 4; i++) {
        const child = forkFunction(patient, () => {
          process.on('message', ({ length }) => console.log(length));
        });
        child.send('x'.repeat(size));
      }
      process.exit();
    });
    assert.equal(stdout, `${4 * MB}\n`.repeat(4));
  });

  for (const [how, end] of some(Object.entries(WAYS), 1, -2, -1)) {
    it(`arrives when the end is ${how}`, async () => {
      const child = forkFunction({ ...PATIENT, with: [end.toString(), 3 * MB] }, (source, size) => {
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
    const child = forkFunction({ ...PATIENT, silent: true, with: [3 * MB] }, (size) => {
      process.send('x'.repeat(size));
      throw new Error('the end');
    });
    assert.equal((await nextMessage(child)).length, 3 * MB);
    assert.equal((await exited(child)).code, 1);
  });

  for (const signal of ['SIGTERM', 'SIGKILL']) {
    it(`arrives when the process sends itself ${signal}`, async () => {
      const child = forkFunction({ ...PATIENT, with: [3 * MB, signal] }, (size, name) => {
        process.send('x'.repeat(size));
        process.kill(process.pid, name);
      });
      assert.equal((await nextMessage(child)).length, 3 * MB);
      assert.equal((await exited(child)).signal, signal);
    });
  }

  for (const how of ['throws', 'throws in a listener']) {
    it(`arrives when a program that took the wrapper of process.emit() away ${how}`, async () => {
      const options = { ...PATIENT, silent: true, with: [MB, how] };
      const child = forkFunction(options, (size, way) => {
        delete process.emit; // signal-exit puts back what it found, whoever wrapped it since
        const end = () => {
          for (let i = 0; i < 20; i++) process.send('x'.repeat(size));
          throw new Error('the end');
        };
        if (way === 'throws') end();
        process.on('message', end);
      });
      child.send('end');
      const messages = await messagesOf(child, 20);
      assert.ok(messages.every(({ length }) => length === MB));
      assert.equal((await exited(child)).code, 1);
    });
  }

  it('arrives when the end is process.abort()', async () => {
    const child = forkFunction({ ...PATIENT, silent: true, with: [3 * MB] }, (size) => {
      process.send('x'.repeat(size));
      process.abort();
    });
    assert.equal((await nextMessage(child)).length, 3 * MB);
    assert.equal((await exited(child)).signal, 'SIGABRT');
  });

  it("arrives also if it was sent in an 'exit' listener", async () => {
    const child = forkFunction({ ...PATIENT, with: [3 * MB] }, (size) => {
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
    const child = forkFunction({ ...PATIENT, with: [8 * MB] }, (size) => {
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
    sleep(200);
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

  const times = [
    [undefined, 450],
    [{ stall: 1200 }, 1150],
    [{ total: 100 }, 80],
  ];
  for (const [exitFlush, least] of some(times, 0, 2)) {
    const limits = exitFlush ? JSON.stringify(exitFlush) : 'the default';
    it(`holds the process as long as it may when nobody reads: ${limits}`, async () => {
      const child = forkFunction({ exitFlush, with: [40 * MB] }, (size) => {
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
      assert.ok(took > least && took < 30_000, `it took ${took} ms`);
      assert.equal((await exited(child)).code, 3);
    });
  }
});
