'use strict';

// A child of stock Node that loads forkwire/register takes its channel over, where that is safe.

const assert = require('node:assert/strict');
const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { fixture } = require('../helpers/fork-fixture');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { functionArgs, run } = require('../helpers/run');
const { connectedPair, listen, textOf, close } = require('../fixtures/socket-clients');

const REGISTER = require.resolve('../../lib/register');
const PRELOADED = ['--require', REGISTER];

/** Forks `body`, by stock Node. */
function start(body, { with: given = [], execArgv = PRELOADED, ...options } = {}) {
  const [file, ...args] = functionArgs(body, given);
  return fork(file, args, { execArgv, ...options });
}

async function leave(child) {
  child.disconnect();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

describe('a channel of stock Node is taken over', () => {
  it('before anything of it was read: nothing that was sent meanwhile is lost', async () => {
    const child = start(() => {
      let count = 0;
      process.on('message', (_message, socket) => {
        count++;
        if (!socket) return;
        socket.end(`${process.channel.protocol} ${count}`);
      });
    });
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    for (let i = 0; i < 999; i++) child.send({ i, filler: 'x'.repeat(i) });
    child.send('socket', socket);
    assert.equal(await textOf(client), 'node 1000');
    await close(server);
    await leave(child);
  });

  it('by the first line of a script', async () => {
    const child = start(
      (register) => {
        require(register);
        process.on('message', (message) => process.send([message, process.channel.protocol]));
      },
      { with: [REGISTER], execArgv: [] },
    );
    const answer = nextMessage(child);
    child.send('early');
    assert.deepEqual(await answer, ['early', 'node']);
    await leave(child);
  });

  it('with --import, where nothing was read before; either way nothing is lost', async () => {
    const child = start(
      () => process.on('message', (message) => process.send([message, process.channel.protocol])),
      { execArgv: ['--import', REGISTER] },
    );
    const answers = messagesOf(child, 3);
    for (let i = 0; i < 3; i++) child.send(i);
    for (const [i, [message, protocol]] of (await answers).entries()) {
      assert.equal(message, i);
      assert.ok([undefined, null, 'node'].includes(protocol), protocol);
    }
    await leave(child);
  });

  it('leaving no trace of the other: descriptors, listeners, environment', async () => {
    const about = () => {
      const { descriptorsOf } = require('../helpers/descriptors');
      setImmediate(() => {
        process.send({
          fds: [...descriptorsOf().values()].filter((each) => each.startsWith('socket')).length,
          environment: Object.keys(process.env).filter((name) => /CHANNEL/.test(name)),
          isConnected: process.connected,
          internal: process.listenerCount('internalMessage'),
        });
        process.disconnect();
      });
    };
    const child = start(about, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    assert.deepEqual(await nextMessage(child), {
      fds: 1,
      environment: [],
      isConnected: true,
      internal: 0,
    });
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  it('and keeps the process alive only while somebody listens', async () => {
    const idle = start(() => {});
    assert.deepEqual(await exited(idle), { code: 0, signal: null });
    const listening = start(() => {
      process.on('message', () => process.removeAllListeners('message'));
      process.send('up');
    });
    await nextMessage(listening);
    listening.send('go');
    assert.deepEqual(await exited(listening), { code: 0, signal: null });
  });

  it('and ends as it would: send() after disconnect() fails, the event comes once', async () => {
    const child = start(
      () => {
        let disconnects = 0;
        process.on('message', () => {});
        process.on('disconnect', () => disconnects++);
        process.disconnect();
        process.send('late', ({ code }) => {
          setTimeout(() => console.log(code, disconnects, process.connected), 20);
        });
      },
      { silent: true },
    );
    assert.equal(await textOf(child.stdout), 'ERR_IPC_CHANNEL_CLOSED 1 false\n');
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  it('and its own children have the native wire', async () => {
    const child = start(
      (idle) => {
        const grandchild = require('node:child_process').fork(idle);
        process.send(String(grandchild.channel.protocol));
        grandchild.disconnect();
        process.disconnect();
      },
      { with: [fixture('idle.js')] },
    );
    assert.equal(await nextMessage(child), 'native');
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  it('also in a cluster worker, whose primary is stock Node', async () => {
    const program = (register, client) => {
      const cluster = require('node:cluster');
      const net = require('node:net');
      if (cluster.isPrimary) {
        cluster.setupPrimary({ execArgv: ['--require', register] });
        const workers = [cluster.fork(), cluster.fork()];
        let listening = 0;
        cluster.on('listening', async (_worker, { port }) => {
          if (++listening < 2) return;
          const texts = [];
          for (let i = 0; i < 4; i++) texts.push(await require(client).textOf(net.connect(port)));
          for (const worker of workers) worker.disconnect();
          console.log(JSON.stringify(texts.sort()));
        });
        return;
      }
      const { protocol } = process.channel;
      net.createServer((socket) => socket.end(`${cluster.worker.id} ${protocol}`)).listen(0);
    };
    const given = [REGISTER, require.resolve('../fixtures/socket-clients')];
    const { stdout, stderr, code } = await run(process.execPath, functionArgs(program, given));
    assert.equal(stderr, '');
    assert.deepEqual(JSON.parse(stdout), ['1 node', '1 node', '2 node', '2 node']);
    assert.equal(code, 0);
  });
});

describe('a channel of stock Node is left as it is', () => {
  it('when something was read from it', async () => {
    const child = start(
      (register) => {
        process.on('message', (message) => {
          require(register);
          process.send([message, String(process.channel.protocol)]);
        });
      },
      { with: [REGISTER], execArgv: [] },
    );
    const answers = messagesOf(child, 2);
    child.send(1);
    child.send(2);
    assert.deepEqual(await answers, [
      [1, 'undefined'],
      [2, 'undefined'],
    ]);
    await leave(child);
  });

  for (const slot of [0, 1, 2]) {
    it(`at index ${slot}, which Node does not close`, async () => {
      const stdio = ['ignore', 'ignore', 'ignore'].with(slot, 'ipc');
      const echo = () => {
        process.on('message', (message) => {
          process.send([message, String(process.channel.protocol)]);
        });
      };
      const child = spawn(process.execPath, [...PRELOADED, ...functionArgs(echo)], { stdio });
      const answer = nextMessage(child);
      child.send('hello');
      assert.deepEqual(await answer, ['hello', 'undefined']);
      await leave(child);
    });
  }

  it('by a Worker of the child', async () => {
    const child = start(
      (register) => {
        const { Worker } = require('node:worker_threads');
        const worker = new Worker(`require(${JSON.stringify(register)})`, { eval: true });
        worker.on('exit', (code) => process.send([code, String(process.channel.protocol)]));
        process.once('message', () => {});
      },
      { with: [REGISTER], execArgv: [] },
    );
    assert.deepEqual(await nextMessage(child), [0, 'undefined']);
    await leave(child);
  });
});

describe("a child on stock Node's wire", () => {
  const forkwire = require('../..');
  let folder;

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
  });

  after(() => fs.rmSync(folder, { recursive: true }));

  const echo = () => {
    process.on('message', (message) => process.send([message, String(process.channel.protocol)]));
  };

  for (const slot of [0, 1, 2]) {
    it(`has its channel at index ${slot}`, async () => {
      const stdio = ['ignore', 'ignore', 'ignore'].with(slot, 'ipc');
      const child = forkwire.spawn(process.execPath, functionArgs(echo), { stdio });
      assert.equal(child.channel.protocol, 'node');
      const answer = nextMessage(child);
      child.send('hello');
      assert.deepEqual(await answer, ['hello', 'undefined']);
      await leave(child);
    });
  }

  for (const [how, line] of Object.entries({
    'which it replaces': 'exec "$0" "$@"',
    'which waits for it': '"$0" "$@"; exit $?',
    'which does not wait for it': '"$0" "$@" & exit 0',
  })) {
    it(`has it behind a shell ${how}`, async () => {
      const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
      const args = ['-c', line, process.execPath, ...functionArgs(echo)];
      const child = forkwire.spawn('sh', args, { stdio });
      const ended = Promise.all([exited(child), once(child, 'disconnect')]);
      const answer = nextMessage(child);
      child.send('hello');
      assert.deepEqual(await answer, ['hello', 'undefined']);
      child.disconnect();
      assert.equal((await ended)[0].code, 0);
    });
  }

  it('does not find variables of another channel', async () => {
    process.env.NODE_CHANNEL_FD = '99';
    try {
      const child = forkwire.fork(...functionArgs(echo).slice(0, 1), functionArgs(echo).slice(1), {
        channel: 'node',
      });
      const answer = nextMessage(child);
      child.send('hello');
      assert.deepEqual(await answer, ['hello', 'undefined']);
      await leave(child);
    } finally {
      delete process.env.NODE_CHANNEL_FD;
    }
  });
});
