'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { text } = require('node:stream/consumers');
const { setImmediate: turn } = require('node:timers/promises');
const { descriptorsOf } = require('../helpers/descriptors');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { assertGrowth } = require('../helpers/memory');
const { runFunction } = require('../helpers/run');
const { resume, stop, untilDead } = require('../helpers/stopped');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const numbers = (count) => Array.from({ length: count }, (_, i) => i);

/** Sends all of it while the child is stopped, so that it reads it at once. */
async function sendAtOnce(child, messages) {
  stop(child);
  await Promise.all(messages.map((message) => new Promise((done) => child.send(message, done))));
  resume(child);
}

describe('a received message', () => {
  it("comes with undefined in the handle's place", async () => {
    const child = forkFunction(() => {
      process.once('message', (...args) => process.send([args.length, args[1] === undefined]));
    });
    child.send('x');
    const [message, handle, ...others] = await once(child, 'message');
    assert.deepEqual(message, [2, true]);
    assert.equal(handle, undefined);
    assert.deepEqual(others, []);
    await exited(child);
  });

  // The same in stock: each message has a tick, and all of a read are queued before the first one runs.
  it('comes behind those of the same read; then come the ticks and microtasks that they queued', async () => {
    const child = forkFunction({ with: [4] }, (count) => {
      const order = [];
      process.on('message', (message) => {
        order.push(message);
        process.nextTick(() => order.push(`tick ${message}`));
        Promise.resolve().then(() => order.push(`promise ${message}`));
        if (message === count - 1) setImmediate(() => process.send(order));
      });
      process.send('up');
    });
    await nextMessage(child);
    await sendAtOnce(child, numbers(4));
    const order = await nextMessage(child);
    assert.deepEqual(order, [
      ...numbers(4),
      ...numbers(4).map((i) => `tick ${i}`),
      ...numbers(4).map((i) => `promise ${i}`),
    ]);
    child.disconnect();
    await exited(child);
  });

  it("shows 'uncaughtException' the store that a listener of one of several had entered", async () => {
    const child = forkFunction(() => {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const context = new AsyncLocalStorage();
      const seen = [];
      process.on('uncaughtException', () => seen.push(`caught ${context.getStore()}`));
      process.on('message', (message) => {
        seen.push(`${message} ${context.getStore()}`);
        context.enterWith(`in ${message}`);
        if (message === 3) setImmediate(() => process.send(seen));
        if (message === 1) throw new Error('on purpose');
      });
      process.send('up');
    });
    await nextMessage(child);
    await sendAtOnce(child, numbers(4));
    assert.deepEqual(await nextMessage(child), [
      '0 undefined',
      '1 undefined',
      'caught in 1',
      '2 undefined',
      '3 undefined',
    ]);
    child.disconnect();
    await exited(child);
  });
});

describe('the messages of a child that exited meanwhile', () => {
  // Texts that are not ASCII come one by one, and all of them in one batch: the rest is read when the exit is noticed.
  it('all come in order, however many they are', async () => {
    const count = 5000;
    const child = forkFunction({ with: [count] }, (n) => {
      for (let i = 0; i < n; i++) process.send(`\u00e9 ${i}`);
      process.disconnect();
    });
    const received = [];
    child.on('message', (message) => received.push(message));
    const hasExited = exited(child);
    untilDead(child);
    await hasExited;
    assert.deepEqual(
      received,
      numbers(count).map((i) => `\u00e9 ${i}`),
    );
  });
});

describe('a listener that throws', () => {
  const COUNT = 200; // so many fit the socket of a stopped child, in stock as well

  it('stops no other message in the child', async () => {
    const child = forkFunction({ with: [COUNT] }, (count) => {
      const seen = [];
      const errors = [];
      process.on('uncaughtException', ({ message }) => errors.push(message));
      process.on('message', (message) => {
        if (message === 'report') {
          process.send({ seen, errors }, () => process.disconnect());
          return;
        }
        seen.push(message);
        if (message % 7 === 0 || message === count - 1) throw new Error(`of ${message}`);
      });
      process.send('up');
    });
    await nextMessage(child);
    await sendAtOnce(child, [...numbers(COUNT), 'report']);
    const { seen, errors } = await nextMessage(child);
    assert.deepEqual(seen, numbers(COUNT));
    const throwing = numbers(COUNT).filter((i) => i % 7 === 0 || i === COUNT - 1);
    assert.deepEqual(
      errors,
      throwing.map((i) => `of ${i}`),
    );
    await exited(child);
  });

  // Stock loses the rest of those that were kept.
  itIsBetter('stops no other message in the parent, nor the ones that were kept', async () => {
    const parent = await runFunction({ with: [COUNT] }, (count) => {
      const { forkFunction } = require('../helpers/fork-fixture');
      const seen = [];
      let thrown = 0;
      process.on('uncaughtException', () => thrown++);
      const child = forkFunction({ with: [count] }, (number) => {
        for (let i = 0; i < number; i++) process.send(i);
      });
      process.on('exit', () => console.log(JSON.stringify({ seen, thrown })));
      setImmediate(() => {
        child.on('message', (message) => {
          seen.push(message);
          if (message % 3 === 0) throw new Error('of a listener');
        });
      });
    });
    const { seen, thrown } = JSON.parse(parent.stdout);
    assert.deepEqual(seen, numbers(COUNT));
    assert.equal(thrown, Math.ceil(COUNT / 3));
    assert.equal(parent.code, 0);
  });

  it("to 'internalMessage' stops nothing either", async () => {
    const child = forkFunction({ silent: true }, () => {
      const seen = [];
      process.on('uncaughtException', () => seen.push('uncaught'));
      process.on('internalMessage', ({ cmd }) => {
        seen.push(cmd);
        throw new Error('of a listener');
      });
      process.on('message', (message) => {
        seen.push(message);
        if (message === 'last') process.send(seen, () => process.disconnect());
      });
      process.send('up');
    });
    await nextMessage(child);
    await sendAtOnce(child, ['first', { cmd: 'NODE_ONE' }, { cmd: 'NODE_TWO' }, 'last']);
    const seen = await nextMessage(child);
    assert.deepEqual(seen, ['first', 'NODE_ONE', 'uncaught', 'NODE_TWO', 'uncaught', 'last']);
    await exited(child);
  });

  it('has the line of what its ticks throw shown, also of what is no Error', async () => {
    const child = forkFunction({ silent: true }, () => {
      process.on('message', () =>
        process.nextTick(() => {
          throw 'no Error';
        }),
      );
      process.send('up');
    });
    await nextMessage(child);
    await turn();
    child.send('alone');
    const stderr = await text(child.stderr);
    assert.match(stderr, /^\s*evalmachine.<anonymous>:\d+\n.*throw 'no Error'/);
    await exited(child);
  });

  it('ends a process that does not handle it', async () => {
    const child = forkFunction({ silent: true }, () => {
      process.on('message', () => {
        throw new Error('of a listener');
      });
    });
    child.send('x');
    child.stderr.setEncoding('utf8');
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 1);
    assert.match(stderr, /Error: of a listener\n {4}at process\.<anonymous>/);
  });
});

describe("without a 'message' listener", () => {
  it('messages to the parent are kept, in order, until one comes', async () => {
    const child = forkFunction(() => {
      for (let i = 0; i < 5; i++) process.send(i);
      process.send({ cmd: 'NODE_LAST' });
      process.on('message', () => process.disconnect());
    });
    await once(child, 'internalMessage');
    await turn();
    const answers = messagesOf(child, 5);
    assert.deepEqual(await answers, numbers(5));
    child.send('done');
    await exited(child);
  });

  it('messages to the child are kept, in order, until one comes', async () => {
    const child = forkFunction(() => {
      process.once('internalMessage', () => {
        setImmediate(() => {
          const seen = [];
          process.on('message', (message) => {
            seen.push(message);
            if (message === 'last') process.send(seen, () => process.disconnect());
          });
        });
      });
      process.channel.ref();
      process.send('up');
    });
    await nextMessage(child);
    await sendAtOnce(child, [...numbers(5), { cmd: 'NODE_GO' }, 'last']);
    assert.deepEqual(await nextMessage(child), [...numbers(5), 'last']);
    await exited(child);
  });

  it('they are delivered on the tick after a listener came, not at once', async () => {
    const child = forkFunction(() => {
      process.send('kept');
      process.send({ cmd: 'NODE_SENT' });
      process.on('message', () => process.disconnect());
    });
    await once(child, 'internalMessage');
    await turn();
    const order = [];
    child.once('message', (message) => order.push(message));
    order.push('added');
    process.nextTick(() => order.push('tick'));
    await turn();
    assert.deepEqual(order, ['added', 'kept', 'tick']);
    child.send('done');
    await exited(child);
  });

  it('they are delivered before those that arrive afterwards', async () => {
    const count = 2000;
    const child = forkFunction({ with: [count] }, (number) => {
      process.on('message', () => {
        for (let i = number; i < 2 * number; i++) process.send(i);
        process.send('last', () => process.disconnect());
      });
      for (let i = 0; i < number; i++) process.send(i);
      process.send({ cmd: 'NODE_SENT' });
    });
    await once(child, 'internalMessage');
    child.send('more');
    await turn();
    const answers = messagesOf(child, 2 * count + 1);
    assert.deepEqual(await answers, [...numbers(2 * count), 'last']);
    await exited(child);
  });

  // Stock emits all that it kept once there is a listener, also when the first of them removed it.
  itIsBetter('a listener that is removed takes no more, and loses none', async () => {
    const child = forkFunction(() => {
      for (let i = 0; i < 4; i++) process.send(i);
      process.send({ cmd: 'NODE_SENT' });
      process.on('message', () => process.disconnect());
    });
    await once(child, 'internalMessage');
    for (const expected of numbers(4)) {
      await turn();
      assert.equal(await nextMessage(child), expected);
    }
    child.send('done');
    await exited(child);
  });

  itIsBetter('a listener that is removed while messages arrive loses none', async () => {
    const child = forkFixture('echo.js');
    await sendAtOnce(child, numbers(100));
    const seen = [];
    while (seen.length < 100) {
      await new Promise((resolve) => {
        child.once('message', (message) => {
          seen.push(message);
          resolve();
        });
      });
    }
    assert.deepEqual(seen, numbers(100));
    child.disconnect();
    await exited(child);
  });

  it('any listener that is added has them looked at again', async () => {
    const child = forkFunction(() => {
      process.send('kept');
      process.send({ cmd: 'NODE_SENT' });
      process.on('message', () => process.disconnect());
    });
    await once(child, 'internalMessage');
    await turn();
    const seen = [];
    child.on('something else', () => {});
    child.on('message', (message) => seen.push(message));
    await turn();
    assert.deepEqual(seen, ['kept']);
    child.send('done');
    await exited(child);
  });

  // Stock keeps whatever comes.
  itIsBetter('the receiver holds no more than the credit, and gets all in the end', async () => {
    const size = 64 * 1024;
    const count = 2048; // 128 MiB
    const child = forkFunction(() => {
      const memory = () => process.memoryUsage().rss;
      const before = memory();
      process.channel.ref();
      process.on('internalMessage', ({ cmd }) => {
        if (cmd === 'NODE_MEMORY') {
          process.send(memory() - before);
          return;
        }
        let received = 0;
        process.on('message', (message) => {
          if (message === 'last') process.send(received, () => process.disconnect());
          else received += message.length;
        });
      });
      process.send('up');
    });
    await nextMessage(child);
    let written = 0;
    await new Promise((resolve) => {
      for (let i = 0; i < count; i++) {
        child.send('x'.repeat(size), () => {
          if (++written * (size + 16) > 15 * 1024 * 1024) resolve();
        });
      }
    });
    child.send('last');
    child.send({ cmd: 'NODE_MEMORY' });
    const used = await nextMessage(child);
    assertGrowth(used, 64 * 1024 * 1024);
    assert.ok(written * size <= 16 * 1024 * 1024, `${written} messages left`);
    child.send({ cmd: 'NODE_LISTEN' });
    assert.equal(await nextMessage(child), count * size);
    await exited(child);
  });
});

describe("'internalMessage'", () => {
  const internal = [{ cmd: 'NODE_X' }, { cmd: 'NODE_HANDLE_X', more: [1] }];
  const ordinary = [
    { cmd: 'NODE_' },
    { cmd: 'fooNODE_X' },
    { cmd: 5 },
    { cmd: ['NODE_X'] },
    { cmd: null },
    { other: 'NODE_X' },
    'NODE_X',
    ['NODE_X'],
    null,
  ];

  for (const serialization of ['json', 'advanced']) {
    it(`gets objects whose cmd begins with NODE_ and is longer (${serialization})`, async () => {
      const child = forkFunction(
        { with: [internal.length + ordinary.length], serialization },
        (count) => {
          const seen = { internalMessage: [], message: [] };
          const report = (name) => (message) => {
            seen[name].push(message);
            if (seen.internalMessage.length + seen.message.length === count) {
              process.send({ cmd: 'NODE_SEEN', seen }, () => process.disconnect());
            }
          };
          process.on('internalMessage', report('internalMessage'));
          process.on('message', report('message'));
        },
      );
      for (const message of [...ordinary, ...internal]) child.send(message);
      const [{ seen }] = await once(child, 'internalMessage');
      assert.deepEqual(seen, { internalMessage: internal, message: ordinary });
      await exited(child);
    });
  }

  // By the event that they are to be: what is sent, and what it is there.
  const disguised = {
    message: [
      [() => Object.create({ cmd: 'NODE_X' }), 'an inherited cmd'],
      [() => Object.defineProperty({}, 'cmd', { value: 'NODE_X' }), 'a cmd that is not enumerable'],
      [() => ({ cmd: 'NODE_X', toJSON: () => ({ plain: 1 }) }), 'a toJSON() that drops it', 'json'],
      [() => Object.assign(new Map(), { cmd: 'NODE_X' }), 'a Map with a cmd', 'advanced'],
      [() => Object.assign(Buffer.from('x'), { cmd: 'NODE_X' }), 'a Buffer with a cmd', 'advanced'],
      [
        () =>
          Object.defineProperty({}, 'cmd', {
            get() {
              throw new Error('it was read');
            },
          }),
        'a getter that is not enumerable',
      ],
    ],
    internalMessage: [
      [() => ({ toJSON: () => ({ cmd: 'NODE_X' }) }), 'what a toJSON() gives', 'json'],
      [() => ({ toJSON: () => ({ cmd: 'NODE_X' }), cmd: 'mine' }), 'the same with a cmd', 'json'],
      [
        () => ({
          get cmd() {
            return 'NODE_X';
          },
        }),
        'a getter',
      ],
      [() => ({ cmd: 'NODE_X', large: Buffer.alloc(100_000) }), 'large views', 'advanced'],
      [() => Object.assign(new (class Mine {})(), { cmd: 'NODE_X' }), 'an instance'],
    ],
  };

  for (const serialization of ['json', 'advanced']) {
    it(`is decided by what is on the wire (${serialization})`, async () => {
      const child = forkFunction({ serialization }, () => {
        for (const name of ['message', 'internalMessage']) {
          process.on(name, (message) => {
            if (message?.cmd !== 'NODE_CLUSTER') process.send(name);
          });
        }
      });
      const seen = {};
      const expected = {};
      for (const [event, all] of Object.entries(disguised)) {
        for (const [make, what, only = serialization] of all) {
          if (only !== serialization) continue;
          expected[what] = event;
          child.send(make());
          seen[what] = await nextMessage(child);
        }
      }
      assert.deepEqual(seen, expected);
      child.disconnect();
      await exited(child);
    });
  }

  it('keeps its place among small messages that are sent with it', async () => {
    const child = forkFunction(() => {
      const seen = [];
      process.on('internalMessage', ({ n }) => seen.push(`internal ${n}`));
      process.on('message', ({ n }) => {
        seen.push(n);
        if (n === 9) process.send(seen);
      });
    });
    const disguise = (n) => ({ toJSON: () => ({ cmd: 'NODE_X', n }) });
    for (let n = 0; n < 10; n++) child.send(n === 4 || n === 5 ? disguise(n) : { n });
    const [seen] = await messagesOf(child, 1);
    assert.deepEqual(seen, [0, 1, 2, 3, 'internal 4', 'internal 5', 6, 7, 8, 9]);
    child.disconnect();
    await exited(child);
  });

  it('is not kept when nobody listens', async () => {
    const child = forkFunction(() => {
      process.send({ cmd: 'NODE_EARLY' });
      process.send('sent');
      process.on('message', () => process.disconnect());
    });
    await nextMessage(child);
    child.on('internalMessage', assert.fail);
    await turn();
    child.send('done');
    await exited(child);
  });

  it('passes the messages that wait for a listener', async () => {
    const child = forkFunction(() => {
      process.send('waits');
      process.send({ cmd: 'NODE_PASSES' });
      process.on('message', () => process.disconnect());
    });
    const [{ cmd }, handle] = await once(child, 'internalMessage');
    assert.equal(cmd, 'NODE_PASSES');
    assert.equal(handle, undefined);
    assert.equal(await nextMessage(child), 'waits');
    child.send('done');
    await exited(child);
  });

  it('keeps its place among messages that do not wait', async () => {
    const child = forkFunction(() => {
      const seen = [];
      process.on('internalMessage', ({ cmd }) => seen.push(cmd));
      process.on('message', (message) => {
        seen.push(message);
        if (message === 'last') process.send(seen, () => process.disconnect());
      });
      process.send('up');
    });
    await nextMessage(child);
    await sendAtOnce(child, ['a', { cmd: 'NODE_B' }, 'c', { cmd: 'NODE_D' }, 'last']);
    assert.deepEqual(await nextMessage(child), ['a', 'NODE_B', 'c', 'NODE_D', 'last']);
    await exited(child);
  });

  it('may be listened to in front of others', async () => {
    const child = forkFunction(() => {
      const seen = [];
      process.on('internalMessage', () => seen.push('behind'));
      process.prependListener('internalMessage', () => seen.push('in front'));
      process.on('message', () => process.send(seen, () => process.disconnect()));
    });
    child.send({ cmd: 'NODE_X' });
    child.send('report');
    assert.deepEqual(await nextMessage(child), ['in front', 'behind']);
    await exited(child);
  });
});

describe('a listener that disconnects', () => {
  it('still gets the rest of what was read together with its message', async () => {
    const child = forkFunction({ stdio: ['ignore', 'pipe', 'inherit', 'ipc'] }, () => {
      const seen = [];
      process.on('message', (message) => {
        seen.push(message);
        if (process.connected) process.disconnect();
      });
      process.on('exit', () => console.log(JSON.stringify(seen)));
      process.send('up');
    });
    child.stdout.setEncoding('utf8');
    await nextMessage(child);
    await sendAtOnce(child, numbers(10));
    const [[stdout]] = await Promise.all([once(child.stdout, 'data'), once(child, 'close')]);
    assert.deepEqual(JSON.parse(stdout), numbers(10));
  });

  // Stock crashes.
  itIsBetter('may do so while it gets messages that were kept', async () => {
    const child = forkFunction(() => {
      for (let i = 0; i < 3; i++) process.send(i);
      process.send({ cmd: 'NODE_SENT' });
      process.on('disconnect', () => {});
    });
    await once(child, 'internalMessage');
    await turn();
    const seen = [];
    child.on('message', (message) => {
      seen.push(message);
      if (child.connected) child.disconnect();
    });
    await once(child, 'disconnect');
    assert.equal(seen[0], 0);
    assert.equal(child.channel, null);
    await exited(child);
  });
});

describe('a message with a handle that nobody listened for', () => {
  itIsBetter(
    'is delivered when an internal listener adds a listener for it and throws, though the peer ends meanwhile',
    async () => {
      const child = forkFunction({ silent: true }, () => {
        const seen = [];
        process.on('uncaughtException', ({ message }) => seen.push(message));
        process.once('internalMessage', () => {
          process.on('message', (message, server) => {
            seen.push(message);
            server.close();
          });
          throw new Error('thrown');
        });
        process.on('disconnect', () => {
          seen.push('disconnect');
          require('node:fs').writeSync(1, seen.join(' '));
        });
        process.send('up');
      });
      let text = '';
      child.stdout.setEncoding('latin1').on('data', (data) => {
        text += data;
      });
      child.on('undelivered', (message) => assert.fail(`${message} came back`));
      await nextMessage(child);
      const server = net.createServer().listen(0);
      await once(server, 'listening');
      const before = descriptorsOf(child.pid).size;
      child.send('server', server);
      await until(() => descriptorsOf(child.pid).size > before);
      stop(child);
      child.send({ cmd: 'NODE_TEST' });
      child.disconnect();
      server.close();
      resume(child);
      await once(child, 'close');
      assert.equal(text, 'thrown server disconnect');
    },
  );
});
