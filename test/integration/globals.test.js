'use strict';

// A program may replace what the language and Node give it. Here it does so as its first act, in the parent and in
// the child, and messages are to come as if it had not.

const assert = require('node:assert/strict');
const path = require('node:path');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { functionArgs, run } = require('../helpers/run');
const { itInLong } = require('../helpers/scale');
const { isStock, itIsBetter } = require('../helpers/subject');

const REGISTER = path.join(__dirname, '../../lib/register.js');

const changes = {
  'JSON.parse and JSON.stringify give something else': () => {
    JSON.parse = () => 'parsed';
    JSON.stringify = () => 'text';
  },
  'JSON is gone': () => {
    delete globalThis.JSON;
  },
  'the clock and performance stand still': () => {
    performance.now = Date.now = () => 0;
    process.hrtime = () => [0, 0];
    process.hrtime.bigint = () => 0n;
  },
  'performance is gone': () => {
    delete globalThis.performance;
  },
  'Buffer is gone': () => {
    delete globalThis.Buffer;
  },
  'process is frozen': () => {
    Object.freeze(process);
  },
  'process is another object': () => {
    globalThis.process = { env: {} };
  },
  'process is gone': () => {
    delete globalThis.process;
  },
  'the platform is another': () => {
    Object.defineProperty(process, 'platform', { value: 'win32' });
    Object.defineProperty(process, 'arch', { value: 'mips' });
  },
  'Object.prototype has what a property descriptor may have': () => {
    Object.prototype.get = Object.prototype.set = () => 'inherited';
    Object.prototype.enumerable = true;
  },
};

/** Of these Node's own parts do not work, but for what stands on the channel. */
const withoutHandles = {
  'ticks and timers are held back': () => {
    const timers = require('node:timers');
    process.nextTick = () => {};
    globalThis.queueMicrotask = () => {};
    for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
      globalThis[name] = timers[name] = () => ({ ref() {}, unref() {} });
    }
  },
};

/** The child: says what it got. */
function childMain(change) {
  const { process } = globalThis;
  const net = require('node:net');
  process.on('message', (message, handle) => {
    const kind = handle instanceof net.Server ? 'a server' : undefined;
    handle?.close();
    process.send({ got: message, kind });
  });
  process.on('disconnect', () => {});
  require('node:vm').runInThisContext(`(${change})`)();
  process.send('up');
}

/** The parent: writes what it saw. */
function parentMain(change, childArgs, serialization, withHandle) {
  const { process } = globalThis;
  const { stringify } = JSON;
  const { fork } = require('node:child_process');
  const { writeSync } = require('node:fs');
  const net = require('node:net');
  const server = net.createServer();
  require('node:vm').runInThisContext(`(${change})`)();
  const seen = [];
  const execArgv = [...process.execArgv];
  const forked = fork(childArgs[0], childArgs.slice(1), { execArgv, serialization });
  const burst = () => {
    for (let i = 0; i < 50; i++) forked.send({ i });
    forked.send('last', (error) => seen.push(`callback ${error}`));
  };
  const end = () => {
    server.close();
    forked.disconnect();
  };
  const handlers = {
    up: () => (withHandle ? server.listen(0, () => forked.send('server', server)) : burst()),
    server: burst,
    last: end,
  };
  forked.on('message', (message) => {
    const { got = message, kind } = message;
    if (typeof got === 'string') seen.push(kind ? `${got}: ${kind}` : got);
    else seen.push(got.i);
    handlers[got]?.();
  });
  for (const name of ['disconnect', 'exit', 'error']) {
    forked.on(name, (code) => seen.push(`${name} ${code}`));
  }
  forked.on('exit', () => {
    writeSync(1, stringify([forked.channel === null ? 'ended' : 'open', ...seen]));
  });
}

const numbers = Array.from({ length: 50 }, (_, i) => i);

(isStock ? describe.skip : describe)('a program in which', () => {
  let serialization = 'advanced';
  let n = 0;
  const itSends = (what, change, withHandle) => {
    serialization = serialization === 'json' ? 'advanced' : 'json';
    n++;
    (n % 2 === 0 ? itInLong : it)(
      `${what} sends and gets all, and sees the end (${serialization})`,
      async () => {
        const childArgs = functionArgs(childMain, [change.toString()]);
        const args = [change.toString(), childArgs, serialization, withHandle];
        const command = ['--require', REGISTER, ...functionArgs(parentMain, args)];
        const { code, stderr, stdout } = await run(process.execPath, command);
        assert.equal(stderr, '');
        const [state, ...seen] = JSON.parse(stdout);
        const first = withHandle ? ['up', 'server: a server'] : ['up'];
        const events = seen.filter((each) => !String(each).startsWith('callback'));
        assert.deepEqual(events, [...first, ...numbers, 'last', 'disconnect undefined', 'exit 0']);
        assert.ok(seen.includes('callback null'));
        assert.equal(state, 'ended');
        assert.equal(code, 0);
      },
    );
  };
  for (const [what, change] of Object.entries(changes)) itSends(what, change, true);
  for (const [what, change] of Object.entries(withoutHandles)) itSends(what, change, false);
});

itIsBetter('an error of its own while it decodes is its own, and stops nothing else', async () => {
  const child = forkFunction(() => {
    process.on('uncaughtException', ({ message }) => process.send(message));
    process.on('message', (message) => process.send(message));
    Buffer.prototype.toString = () => {
      throw new Error('replaced');
    };
    process.send('up');
  });
  assert.equal(await nextMessage(child), 'up');
  child.send('before');
  child.send('x'.repeat(2 ** 21));
  child.send('behind');
  const messages = await messagesOf(child, 3);
  assert.deepEqual(messages.sort(), ['before', 'behind', 'replaced']);
  child.disconnect();
  await exited(child);
});
