'use strict';

// Stock Node at the other end, in the situations that its own ends do not survive together.

const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const forkwire = require('../..');
const {
  close,
  connectedPair,
  connectionsOf,
  listen,
  textOf,
} = require('../fixtures/socket-clients');
const { exited, nextMessage } = require('../helpers/events');
const { functionArgs, run, runFunction } = require('../helpers/run');
const { isLong, some } = require('../helpers/scale');
const { until } = require('../helpers/until');

const REGISTER = require.resolve('../../lib/register');

/** Says which descriptor is free, then answers on every socket that comes. */
function shortOfDescriptors() {
  const { closeSync, openSync } = require('node:fs');
  process.on('message', (message, socket) => {
    if (!socket) process.send(message);
    socket?.end(`${message} of the child`);
  });
  process.on('warning', () => {}); // opens what it needs now
  process.stdout.write('');
  const free = openSync('/dev/null');
  closeSync(free);
  process.send(free);
}

const limit = ({ pid }, n) => execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${n}:`]);

const PAIRS = {
  'a stock child': () => {
    const [file, ...args] = functionArgs(shortOfDescriptors);
    return forkwire.fork(file, args, { channel: 'node', execArgv: ['--no-warnings'] });
  },
  'a child that took the channel over from stock': () => {
    const [file, ...args] = functionArgs(shortOfDescriptors);
    return childProcess.fork(file, args, { execArgv: ['--require', REGISTER] });
  },
};

describe('with stock Node at the other end', () => {
  for (const [who, start] of Object.entries(PAIRS)) {
    it(`${who} without a free descriptor gets a socket later, once`, async () => {
      const child = start();
      const free = await nextMessage(child);
      const server = await listen();
      const [socket, client] = await connectedPair(server);
      limit(child, free);
      let calls = 0;
      const answer = nextMessage(child);
      child.send('it', socket, (error) => {
        assert.equal(error, null);
        calls++;
      });
      child.send('behind');
      await new Promise((resolve) => setTimeout(resolve, 100));
      limit(child, 1024);
      assert.equal(await textOf(client), 'it of the child');
      assert.equal(await answer, 'behind');
      if (child.channel.protocol) assert.equal(calls, 1); // stock calls back for every time
      await close(server);
      child.disconnect();
      assert.deepEqual(await exited(child), { code: 0, signal: null });
    });
  }

  const count = isLong ? 1000 : 250;
  it(`${count} sockets go one after the other, and are counted`, async () => {
    const [file, ...args] = functionArgs(() => {
      process.on('message', (_message, socket) => {
        socket.on('error', () => {});
        socket.resume();
      });
    });
    const child = forkwire.fork(file, args, { channel: 'node' });
    const server = await listen();
    const clients = [];
    let calls = 0;
    for (let i = 0; i < count; i++) {
      const [socket, client] = await connectedPair(server);
      clients.push(client);
      child.send(i, socket, () => calls++);
    }
    await until(() => calls === count, 'all called back');
    assert.equal(await connectionsOf(server), count);
    for (const client of clients) client.end();
    await close(server);
    child.disconnect();
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });

  it('a child of forkwire that exits is waited for until its handle was acknowledged', async () => {
    const program = (register) => {
      const child = require('node:child_process').fork(process.argv[1], process.argv.slice(2), {
        execArgv: ['--require', register],
        env: { ...process.env, ROLE: 'child' },
      });
      const got = [];
      child.on('message', (message, handle) => {
        got.push([message, handle !== undefined]);
        handle?.close();
      });
      child.on('close', (code) => console.log(JSON.stringify([code, ...got])));
    };
    const child = () => {
      const server = require('node:net').createServer();
      server.listen(0, () => {
        for (let i = 0; i < 3; i++) process.send(i, server);
        process.send('last');
        process.exit(9);
      });
    };
    const either = `(register) => (process.env.ROLE ? ${child} : ${program})(register)`;
    const { stdout, stderr } = await run(process.execPath, functionArgs(either, [REGISTER]));
    assert.equal(stderr, '');
    assert.deepEqual(JSON.parse(stdout), [9, [0, true], [1, true], [2, true], ['last', false]]);
  });

  for (const policy of some(['SCHED_RR', 'SCHED_NONE'], 0)) {
    it(`cluster workers that may load no addon serve as ever, ${policy}`, async () => {
      const nodeArgs = ['--require', REGISTER];
      const options = { nodeArgs, with: [policy, require.resolve('../fixtures/socket-clients')] };
      const { stdout, stderr, code } = await runFunction(options, (name, clients) => {
        const cluster = require('node:cluster');
        const net = require('node:net');
        const dgram = require('node:dgram');
        cluster.schedulingPolicy = cluster[name];
        if (!cluster.isPrimary) {
          net.createServer((socket) => socket.end(`${process.channel.protocol}`)).listen(0);
          dgram.createSocket('udp4').bind(0);
          return;
        }
        cluster.setupPrimary({ execArgv: ['--no-addons'] });
        const workers = [cluster.fork(), cluster.fork()];
        const protocols = workers.map(({ process: { channel } }) => channel.protocol);
        let listening = 0;
        cluster.on('listening', async (_worker, { port, addressType }) => {
          if (addressType === 4) cluster.port = port;
          if (++listening < 4) return;
          const { textOf: read } = require(clients);
          const texts = [];
          for (let i = 0; i < 20; i++) texts.push(await read(net.connect(cluster.port)));
          for (const worker of workers) worker.disconnect();
          console.log(JSON.stringify([...protocols, ...new Set(texts), texts.length]));
        });
      });
      assert.equal(stderr, '');
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(stdout), ['node', 'node', 'undefined', 20]);
    });
  }

  it('a cluster worker there that is killed with connections leaves no client hanging', async () => {
    const nodeArgs = ['--require', REGISTER];
    const options = { nodeArgs, with: [require.resolve('../fixtures/socket-clients')] };
    const { stdout, stderr, code } = await runFunction(options, (clients) => {
      const cluster = require('node:cluster');
      const net = require('node:net');
      if (!cluster.isPrimary) {
        net.createServer((socket) => socket.end('served')).listen(0);
        return;
      }
      cluster.setupPrimary({ execArgv: ['--no-addons'] });
      const workers = [cluster.fork(), cluster.fork()];
      let listening = 0;
      cluster.on('listening', async (_worker, { port }) => {
        if (++listening < 2) return;
        const { textOf: read } = require(clients);
        workers[0].process.kill('SIGSTOP');
        const texts = Array.from({ length: 10 }, () => read(net.connect(port)));
        await new Promise((resolve) => setTimeout(resolve, 100));
        workers[0].process.kill('SIGKILL');
        console.log(JSON.stringify([...new Set(await Promise.all(texts))]));
        workers[1].disconnect();
      });
    });
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), ['served']);
  });

  it('a Worker is a parent as well, also when it is terminated', async () => {
    const { stdout, stderr, code } = await runFunction(
      { with: [require.resolve('../..')] },
      (main) => {
        const { Worker } = require('node:worker_threads');
        const body = `
        const { parentPort } = require('node:worker_threads');
        const echo = 'process.on("message", (message) => process.send(message))';
        const child = require(${JSON.stringify(main)}).spawn(process.execPath, ['-e', echo], {
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          channel: 'node',
        });
        child.on('message', (message) => parentPort.postMessage(message + child.channel.protocol));
        child.send('hello ');
      `;
        const worker = new Worker(body, { eval: true });
        worker.on('message', (message) => {
          console.log(message);
          worker.terminate();
        });
      },
    );
    assert.equal(stderr, '');
    assert.equal(stdout, 'hello node\n');
    assert.equal(code, 0);
  });

  it('undelivered messages beyond the credit wait in the child, and are not lost', async () => {
    const [file, ...args] = functionArgs(() => {
      for (let i = 0; i < 40; i++) process.send(`${i} ${'x'.repeat(100_000)}`);
      process.on('disconnect', () => process.exit());
    });
    const options = { channel: 'node', credit: { bytes: 512 * 1024 } };
    const child = forkwire.fork(file, args, options);
    await new Promise((resolve) => setTimeout(resolve, 300)); // nobody listens
    const got = [];
    child.on('message', (message) => got.push(Number.parseInt(message, 10)));
    await until(() => got.length === 40);
    assert.deepEqual(
      got,
      got.map((_, i) => i),
    );
    child.disconnect();
    await once(child, 'exit');
  });
});
