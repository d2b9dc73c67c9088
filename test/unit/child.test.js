'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { text } = require('node:stream/consumers');
const { fork } = require('../../lib');
const { fixture, forkFunction } = require('../helpers/fork-fixture');
const { setDescriptorLimit } = require('../helpers/limits');
const { runFunction } = require('../helpers/run');

describe('a child that takes its channel', () => {
  it('has nothing but the channel more on process than one without', async () => {
    const listeners = () => {
      const names = ['message', 'internalMessage', 'disconnect', 'exit', 'uncaughtException'];
      return names.map((name) => process.listenerCount(name));
    };
    const child = forkFunction({ with: [listeners.toString()] }, (source) => {
      process.send(require('node:vm').runInThisContext(`(${source})`)());
    });
    const [counts] = await once(child, 'message');
    assert.deepEqual(counts, [0, 0, 0, 0, 0]);
    await once(child, 'close');
  });

  it('does nothing without a channel in the environment', async () => {
    const { stdout } = await runFunction(() => {
      const before = process.eventNames().length;
      require('../../lib/child').takeChannel('/preload.js');
      console.log(typeof process.send, process.eventNames().length - before);
    });
    assert.equal(stdout, 'undefined 0\n');
  });

  it('shares what it loaded with a require() of forkwire, also as a parent itself', async () => {
    const child = forkFunction({ with: [require.resolve('../../lib')] }, (lib) => {
      const { fork } = require(lib);
      const copies = new Set(Object.keys(require.cache).filter((file) => /core\.js$/.test(file)));
      const grandchild = fork('-e', ["process.on('message', (it) => process.send(it))"]);
      grandchild.send('there and back');
      grandchild.once('message', (answer) => {
        grandchild.disconnect();
        process.send([answer, copies.size]);
      });
    });
    const [seen] = await once(child, 'message');
    assert.deepEqual(seen, ['there and back', 1]);
    await once(child, 'close');
  });

  it('names the files of forkwire in stack traces, as they are', async () => {
    const child = forkFunction(() => {
      try {
        process.send(Symbol('x'));
      } catch (error) {
        process.send(error.stack);
      }
    });
    const [stack] = await once(child, 'message');
    const [, file, line] = /\((.*\/lib\/messages\.js):(\d+):/.exec(stack);
    assert.match(
      require('node:fs').readFileSync(file, 'utf8').split('\n')[line - 1],
      /invalidArgType/,
    );
    await once(child, 'close');
  });

  it('takes its first handle with the last free descriptor: no file is to be opened for it', async () => {
    const child = forkFunction(() => {
      process.on('message', (message, socket) => {
        if (message === 'close one') require('node:fs').closeSync(last);
        else socket.end(message);
      });
      const { openSync } = require('node:fs');
      let last;
      try {
        for (;;) last = openSync('/dev/null');
      } catch ({ code }) {
        process.send(code);
      }
    });
    setDescriptorLimit(child.pid, 100);
    assert.deepEqual(await once(child, 'message'), ['EMFILE', undefined]);
    const server = net.createServer({ pauseOnConnect: true }).listen(0);
    await once(server, 'listening');
    const client = net.connect(server.address().port);
    const [socket] = await once(server, 'connection');
    child.send('close one');
    child.send('hello', socket);
    assert.equal(await text(client), 'hello');
    server.close();
    child.disconnect();
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  });

  it('says why it cannot, and ends with 78; the parent hears ERR_FORKWIRE_NO_HELLO', async () => {
    const options = { channel: 'native', execArgv: ['--no-addons'], silent: true };
    const child = fork(fixture('idle.js'), [], options);
    const seen = [];
    for (const name of ['message', 'disconnect', 'exit', 'close']) {
      child.on(name, () => seen.push(name));
    }
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    let failure;
    child.on('error', (error) => {
      failure = error;
    });
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(child.exitCode, 78);
    assert.match(stderr, /^forkwire: .*forkwire.*\.node.*channel: 'node'.*\n$/);
    assert.equal(failure.code, 'ERR_FORKWIRE_NO_HELLO');
    assert.equal(failure.pid, child.pid);
    assert.equal(failure.program, process.execPath);
    assert.deepEqual(seen, ['disconnect', 'exit', 'close']);
  });

  it('that ends with 78 by itself is no error', async () => {
    const child = forkFunction(() => process.exit(78));
    child.on('error', assert.fail);
    const [code] = await once(child, 'close');
    assert.equal(code, 78);
  });
});
