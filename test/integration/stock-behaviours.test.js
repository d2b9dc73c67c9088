'use strict';

// What Node does that no other file of tests is about. docs/stock-behaviours.md lists all of it.

const assert = require('node:assert/strict');
const diagnosticsChannel = require('node:diagnostics_channel');
const { getEventListeners, once } = require('node:events');
const net = require('node:net');
const { text: textOf } = require('node:stream/consumers');
const { exited, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { isLong } = require('../helpers/scale');
const { killUnnoticed } = require('../helpers/stopped');
const { itIsBetter, spawn } = require('../helpers/subject');

async function listen(onConnection) {
  const server = net.createServer({ pauseOnConnect: true }, onConnection).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('fork()', () => {
  it('takes its listener off the AbortSignal when the child has exited', async () => {
    const { signal } = new AbortController();
    const child = forkFixture('idle.js', [], { signal });
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await nextMessage(child);
    child.disconnect();
    await exited(child);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it("tells the tracing channel 'child_process.spawn' of each child, where Node has it", async () => {
    const seen = [];
    const onStart = ({ process: child }) => seen.push(child);
    diagnosticsChannel.subscribe('tracing:child_process.spawn:start', onStart);
    const child = forkFixture('idle.js');
    diagnosticsChannel.unsubscribe('tracing:child_process.spawn:start', onStart);
    const hasIt = Number(process.versions.node.split('.')[0]) >= 24;
    assert.deepEqual(seen, hasIt ? [child] : []);
    await nextMessage(child);
    child.disconnect();
    await exited(child);
  });

  it('gives a child that is disposed of', async function () {
    const { dispose } = Symbol;
    const child = forkFixture('idle.js');
    if (typeof child[dispose] !== 'function') {
      child.kill();
      await exited(child);
      this.skip(); // a Node without that method
    }
    await nextMessage(child);
    child[dispose]();
    assert.deepEqual(await exited(child), { code: null, signal: 'SIGTERM' });
  });
});

describe('spawn() of a program that does not exist', () => {
  itIsBetter('gives a child to which one can send; its callback gets an error', async () => {
    const seen = [];
    const child = spawn('/nowhere', [], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    for (const name of ['error', 'exit', 'close', 'disconnect']) {
      child.on(name, () => seen.push(name));
    }
    const isSent = child.send('x', ({ code }) => seen.push(code));
    assert.equal(isSent, true);
    await new Promise((resolve) => child.once('disconnect', resolve));
    await new Promise(setImmediate);
    assert.deepEqual(
      seen.filter((each) => each !== 'EPIPE'),
      ['error', 'close', 'disconnect'],
    );
    assert.ok(seen.includes('EPIPE'));
  });
});

describe('send() in the tick of a send() with a handle', () => {
  it('returns true for one message behind it, then false', async () => {
    const child = forkFixture('idle.js');
    await nextMessage(child);
    const server = await listen();
    const returned = [];
    let callbacks = 0;
    const count = () => callbacks++;
    returned.push(child.send('one', server, count));
    for (const message of ['two', 'three', 'four']) returned.push(child.send(message, count));
    assert.deepEqual(returned, [true, true, false, false]);
    await new Promise((resolve) => child.send('last', resolve));
    assert.equal(callbacks, 4);
    assert.equal(child.send('next', server), true);
    server.close();
    child.kill();
    await exited(child);
  });

  itIsBetter("emits 'drain' when it returned false", async () => {
    const child = forkFixture('idle.js');
    await nextMessage(child);
    const server = await listen();
    while (child.send('one', server));
    await once(child, 'drain');
    assert.equal(child.send('next'), true);
    server.close();
    child.kill();
    await exited(child);
  });
});

describe("'internalMessage'", () => {
  it('comes with its handle, which the listener may change', async () => {
    const child = forkFunction(() => {
      process.on('internalMessage', ({ cmd }, handle) => {
        if (cmd !== 'NODE_MINE') return;
        const { close } = handle;
        handle.close = function wrapped(...args) {
          process.send('closed');
          return Reflect.apply(close, this, args);
        };
      });
      process.on('internalMessage', ({ cmd }, handle) => {
        if (cmd === 'NODE_MINE') handle.close();
      });
      process.on('message', () => {});
      process.send('up');
    });
    await nextMessage(child);
    const server = await listen();
    child.send({ cmd: 'NODE_MINE' }, server._handle);
    assert.equal(await nextMessage(child), 'closed');
    server.close();
    child.disconnect();
    await exited(child);
  });
});

describe('what packages touch of a channel', () => {
  it("has stock's names, in their order", async () => {
    const stockNames = [
      'channel',
      '_handleQueue',
      '_pendingMessage',
      'send',
      '_send',
      'connected',
      'disconnect',
      '_disconnect',
    ];
    const child = forkFunction({ with: [stockNames] }, (names) => {
      process.once('message', () => process.disconnect());
      process.send(Object.keys(process).filter((name) => names.includes(name)));
    });
    const inChild = await nextMessage(child);
    const inParent = Object.keys(child).filter((name) => stockNames.includes(name));
    assert.deepEqual(inParent, ['connected', ...stockNames.filter((name) => name !== 'connected')]);
    assert.deepEqual(inChild, stockNames);
    assert.deepEqual([child._handleQueue, child._pendingMessage], [null, null]);
    child.send('go');
    await exited(child);
  });

  it('has _channel as an alias that warns, before Node 26', async () => {
    const body = () => {
      process.once('message', () => process.disconnect());
      const isThere = Object.hasOwn(process, '_channel');
      console.log(isThere, isThere && process._channel === process.channel);
      process.send('up');
    };
    const child = forkFunction({ silent: true, execArgv: ['--trace-warnings'] }, body);
    const output = Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    await nextMessage(child);
    child.send('go');
    await exited(child);
    const [stdout, stderr] = await output;
    const isThere = Number.parseInt(process.versions.node, 10) < 26;
    assert.equal(stdout, `${isThere} ${isThere}\n`);
    assert.equal(stderr.includes('[DEP0129]'), isThere);
  });

  it('gives a wrapper of _send() all four arguments', async () => {
    const child = forkFixture('idle.js');
    await nextMessage(child);
    const seen = [];
    const { _send } = child;
    child._send = function (...args) {
      seen.push(args);
      return Reflect.apply(_send, this, args);
    };
    const callback = () => {};
    child.send('one');
    child.send('two', callback);
    child.send('three', undefined, { keepOpen: true }, callback);
    assert.deepEqual(seen, [
      ['one', undefined, { swallowErrors: false }, undefined],
      ['two', undefined, { swallowErrors: false }, callback],
      ['three', undefined, { swallowErrors: false, keepOpen: true }, callback],
    ]);
    child.disconnect();
    await exited(child);
  });

  for (const name of ['disconnect', '_disconnect']) {
    it(`calls a ${name}() that replaces its own, also when the other end ends it`, async () => {
      const child = forkFunction({ silent: true, with: [name] }, (method) => {
        const { [method]: original } = process;
        process[method] = function (...args) {
          console.log(method);
          return Reflect.apply(original, this, args);
        };
        process.on('message', () => {});
        process.on('disconnect', () => console.log('event'));
        process.send('up');
      });
      const seen = [];
      const { [name]: original } = child;
      child[name] = function (...args) {
        seen.push(name);
        return Reflect.apply(original, this, args);
      };
      child.on('disconnect', () => seen.push('event'));
      const output = textOf(child.stdout);
      await nextMessage(child);
      child.disconnect();
      await exited(child);
      assert.equal(await output, `${name}\nevent\n`);
      assert.deepEqual(seen, [name, 'event']);
    });
  }

  it('calls them when the other end is killed as well', async () => {
    const child = forkFixture('idle.js');
    await nextMessage(child);
    const seen = [];
    for (const name of ['disconnect', '_disconnect']) {
      const { [name]: original } = child;
      child[name] = function (...args) {
        seen.push(name, this.connected);
        return Reflect.apply(original, this, args);
      };
    }
    child.on('disconnect', () => seen.push('event'));
    child.kill();
    await once(child, 'disconnect');
    assert.deepEqual(seen, ['disconnect', true, '_disconnect', false, 'event']);
    await exited(child);
  });
});

describe('what a program sees of the listeners on process', () => {
  const count = () => {
    const child = require('../helpers/fork-fixture').forkFixture('idle.js');
    const counted = ['exit', 'beforeExit', 'uncaughtException', 'uncaughtExceptionMonitor'];
    const counts = counted.map((name) => process.listenerCount(name));
    for (let i = 0; i < 10; i++) process.on('exit', () => {});
    child.once('message', () => {
      child.disconnect();
      console.log(JSON.stringify(counts));
    });
  };

  it("is none of the channel's, and no deprecated part of Node is used", async () => {
    const nodeArgs = ['--pending-deprecation', '--throw-deprecation'];
    const { stdout, stderr, code } = await runFunction({ nodeArgs }, count);
    assert.deepEqual([stdout, stderr, code], ['[0,0,0,0]\n', '', 0]);
  });
});

for (const end of ['exit', 'nothing']) {
  itIsBetter(`what was sent leaves though another emit() is put back (${end})`, async () => {
    const child = forkFunction({ with: [end], silent: true }, (how) => {
      delete process.emit;
      process.send('x'.repeat(4_000_000));
      if (how === 'exit') process.exit();
    });
    assert.equal((await nextMessage(child)).length, 4_000_000);
    await exited(child);
  });
}

describe('a channel that has ended', () => {
  it('leaves send() a function, channel null and connected false, on both ends', async () => {
    const child = forkFunction({ silent: true }, () => {
      process.once('disconnect', () => {
        console.log(typeof process.send, process.channel, process.connected);
      });
      process.once('message', () => process.disconnect());
      process.send('up');
    });
    await nextMessage(child);
    child.send('go');
    await once(child, 'disconnect');
    assert.deepEqual(
      [typeof child.send, child.channel, child.connected],
      ['function', null, false],
    );
    await exited(child);
  });
});

describe('a socket that is sent', () => {
  it('goes with 800 kB of payload, once, in both directions', async () => {
    const child = forkFunction(() => {
      process.on('message', ({ length }, socket) => process.send('y'.repeat(length), socket));
    });
    const server = await listen((socket) => child.send('x'.repeat(800_000), socket));
    const client = net.connect(server.address().port, '127.0.0.1');
    const [message, socket] = await once(child, 'message');
    assert.equal(message, 'y'.repeat(800_000));
    socket.end('answered');
    assert.equal(await textOf(client), 'answered');
    server.close();
    child.disconnect();
    await exited(child);
  });

  it('to a child that dies with more queued is no error, and the channel is null at close', async () => {
    const child = forkFixture('idle.js');
    await nextMessage(child);
    const server = await listen();
    killUnnoticed(child);
    child.on('error', () => {});
    for (let i = 0; i < 10; i++) child.send(i, server, () => {});
    const channel = await new Promise((resolve) => child.on('close', () => resolve(child.channel)));
    assert.equal(channel, null);
    server.close();
  });

  for (const [way, exits] of [
    ['exits', true],
    ['closes its server', false],
  ]) {
    const count = isLong ? 12 : 4;
    it(`is not lost when its sender ${way} right after, with ${count} senders`, async () => {
      const { stdout, stderr, code } = await runFunction({ with: [count, exits] }, sendAll);
      assert.equal(stderr, '');
      assert.equal(stdout, `${count} answered\n`);
      assert.equal(code, 0);
    });
  }
});

/** Children each accept a connection and send it to this process, which answers. */
function sendAll(count, exits) {
  const net = require('node:net');
  const { forkFunction } = require('../helpers/fork-fixture');
  const { text } = require('node:stream/consumers');
  const sender = (isToExit) => {
    const server = require('node:net').createServer({ pauseOnConnect: true }, (socket) => {
      process.send('socket', socket);
      if (isToExit) process.exit();
      server.close();
    });
    server.listen(0, '127.0.0.1', () => process.send(server.address().port));
  };
  let answered = 0;
  for (let i = 0; i < count; i++) {
    const child = forkFunction({ with: [exits] }, sender);
    child.on('message', async (message, socket) => {
      if (socket) socket.end('answered');
      else if ((await text(net.connect(message, '127.0.0.1'))) === 'answered') answered++;
    });
  }
  process.on('exit', () => console.log(`${answered} answered`));
}
