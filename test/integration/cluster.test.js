'use strict';

// Node's cluster on forkwire's channel: everything it does, in processes that know nothing of forkwire.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { runCluster, runPrimary } = require('../helpers/cluster');
const { fixture } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');
const { isLong, some } = require('../helpers/scale');
const { isStock, itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

/** Serves 'tcp', 'unix' or 'udp4', by answering with its pid. */
function serve(kind, address) {
  const dgram = require('node:dgram');
  const net = require('node:net');
  const pid = String(process.pid);
  if (kind === 'udp4') {
    const socket = dgram.createSocket(kind);
    socket.on('message', (_message, { port }) => socket.send(pid, port, '127.0.0.1'));
    socket.bind(0, '127.0.0.1');
    return;
  }
  const server = net.createServer((connection) => connection.end(pid));
  if (kind === 'unix') server.listen(address);
  else server.listen(0, '127.0.0.1');
}

/** Starts two workers and asks until both have answered; prints whether the answers are theirs. */
async function askBoth(setUp, kind, address, policy, serialization) {
  const cluster = require('node:cluster');
  const dgram = require('node:dgram');
  const { once } = require('node:events');
  const net = require('node:net');
  const { text } = require('node:stream/consumers');
  cluster.schedulingPolicy = cluster[policy];
  setUp({ serialization });
  const workers = [cluster.fork(), cluster.fork()];
  const protocols = workers.map((worker) => worker.process.channel.protocol);
  const [[{ port }]] = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  const client = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  const ask = async () => {
    if (kind !== 'udp4') return text(net.connect(kind === 'unix' ? address : port, '127.0.0.1'));
    client.send('who', port, '127.0.0.1');
    return String((await once(client, 'message'))[0]);
  };
  const answers = new Set();
  // The kernel decides who gets a datagram or, without round robin, a connection.
  const wanted = policy === 'SCHED_RR' && kind !== 'udp4' ? 2 : 1;
  for (let i = 0; i < 20 || answers.size < wanted; i++) answers.add(await ask());
  const pids = workers.map((worker) => String(worker.process.pid));
  console.log(JSON.stringify([protocols, [...answers].every((pid) => pids.includes(pid))]));
  client.close();
  cluster.disconnect();
}

describe('cluster', () => {
  let folder;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const protocols = isStock ? [null, null] : ['native', 'native'];
  const cases = [
    ['tcp', 'SCHED_RR', 'json'],
    ['tcp', 'SCHED_NONE', 'advanced'],
    ['unix', 'SCHED_RR', 'advanced'],
    ['unix', 'SCHED_NONE', 'json'],
    ['udp4', 'SCHED_RR', 'json'],
  ];
  for (const [kind, policy, serialization] of some(cases, 0, 3, 4)) {
    it(`serves ${kind} with ${policy} and serialization ${serialization}`, async () => {
      const address = path.join(folder, 'socket');
      assert.deepEqual(await runCluster(askBoth, serve, kind, address, policy, serialization), [
        protocols,
        true,
      ]);
    });
  }

  it("calls what user code puts in process.send's place", async () => {
    const calls = await runCluster(
      async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        setUp();
        const worker = cluster.fork();
        const [acts] = await once(worker, 'message');
        console.log(JSON.stringify(acts));
        worker.disconnect();
      },
      () => {
        const { send } = process;
        const acts = [];
        process.send = function replaced(message, ...rest) {
          if (message.cmd === 'NODE_CLUSTER') acts.push(message.act);
          return send.call(this, message, ...rest);
        };
        require('node:net')
          .createServer()
          .listen(0, () => setImmediate(() => process.send(acts)));
      },
    );
    assert.deepEqual(calls, ['queryServer', 'listening']);
  });

  it("says 'online' once, before anything that the worker sends", async () => {
    const seen = await runCluster(
      async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        setUp();
        const worker = cluster.fork();
        const seen = [];
        worker.on('online', () => seen.push('online'));
        worker.on('message', (message) => seen.push(message));
        await once(worker, 'exit');
        console.log(JSON.stringify([...seen, worker.process.channel, worker.process.connected]));
      },
      () => {
        process.send('first');
        process.disconnect();
      },
    );
    assert.deepEqual(seen, ['online', 'first', null, false]);
  });

  it('keeps an idle worker alive until it is disconnected', async () => {
    const [isAlive, code, isVoluntary] = await runCluster(
      async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        setUp();
        const worker = cluster.fork();
        await once(worker, 'online');
        await new Promise((resolve) => setTimeout(resolve, 300));
        const isAlive = !worker.isDead();
        worker.disconnect();
        const [code] = await once(worker, 'exit');
        console.log(JSON.stringify([isAlive, code, worker.exitedAfterDisconnect]));
      },
      () => {},
    );
    assert.deepEqual([isAlive, code, isVoluntary], [true, 0, true]);
  });

  describe('ends with the events of both ends in order when', () => {
    const ways = {
      'the primary disconnects the worker': 'disconnect',
      'the primary kills the worker': 'kill',
      'cluster.disconnect() is called': 'all',
      'the worker disconnects itself': 'own disconnect',
      'the worker calls process.disconnect()': 'process.disconnect',
      'the worker exits': 'exit',
      'the worker kills itself': 'own kill',
      'the worker is killed': 'SIGKILL',
    };
    for (const [way, how] of some(Object.entries(ways), 3, 4, 7)) {
      it(way, async () => {
        const events = await runCluster(
          async (setUp, how) => {
            const cluster = require('node:cluster');
            const { once } = require('node:events');
            setUp();
            const worker = cluster.fork();
            await once(worker, 'listening');
            const seen = [];
            for (const name of ['disconnect', 'exit']) {
              worker.on(name, () => seen.push(name));
              cluster.on(name, () => seen.push(`cluster ${name}`));
            }
            if (how === 'disconnect') worker.disconnect();
            else if (how === 'kill') worker.kill();
            else if (how === 'all') cluster.disconnect();
            else if (how === 'SIGKILL') worker.process.kill('SIGKILL');
            else worker.send(how);
            await once(worker, 'exit');
            await new Promise(setImmediate);
            const { exitedAfterDisconnect, state } = worker;
            const left = Object.keys(cluster.workers).length;
            console.log(JSON.stringify([seen, exitedAfterDisconnect, state, left]));
          },
          () => {
            const cluster = require('node:cluster');
            require('node:net').createServer().listen(0);
            process.on('message', (how) => {
              if (how === 'own disconnect') cluster.worker.disconnect();
              else if (how === 'process.disconnect') process.disconnect();
              else if (how === 'exit') process.exit();
              else cluster.worker.kill();
            });
          },
          how,
        );
        const isVoluntary = !['process.disconnect', 'exit', 'SIGKILL', 'kill'].includes(how);
        assert.deepEqual(events, [
          ['disconnect', 'cluster disconnect', 'exit', 'cluster exit'],
          isVoluntary,
          'dead',
          0,
        ]);
      });
    }
  });

  it('has its workers exit with 0 when the primary is killed', async () => {
    const file = path.join(folder, 'exit');
    const { signal } = await runPrimary(
      (setUp) => {
        setUp();
        const worker = require('node:cluster').fork();
        worker.on('message', () => process.kill(process.pid, 'SIGKILL'));
      },
      (name) => {
        const { writeFileSync } = require('node:fs');
        process.on('exit', (code) => writeFileSync(name, String(code)));
        process.send('up');
      },
      file,
    );
    assert.equal(signal, 'SIGKILL');
    await until(() => fs.existsSync(file) && fs.readFileSync(file, 'utf8') === '0');
  });

  it('passes its settings on', async () => {
    const found = await runCluster(
      async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        setUp({
          cwd: '/',
          execArgv: ['--no-warnings', '--inspect=0'],
          inspectPort: 0,
          serialization: 'advanced',
          stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'ipc'],
        });
        const workers = [cluster.fork({ MARK: 'a' }), cluster.fork({ MARK: 'b' })];
        const messages = await Promise.all(workers.map((worker) => once(worker, 'message')));
        console.log(JSON.stringify(messages.map(([message]) => [...message.values()])));
        cluster.disconnect();
      },
      () => {
        const { url } = require('node:inspector');
        const given = process.execArgv.filter((option) => !option.startsWith('--inspect'));
        const { cwd, env } = process;
        // Only 'advanced' has Maps.
        process.send(
          new Map([
            ['cwd', cwd()],
            ['given', given.join()],
            ['mark', env.MARK],
            ['ws', url()?.slice(0, 5)],
          ]),
        );
      },
    );
    assert.deepEqual(found, [
      ['/', '--no-warnings', 'a', 'ws://'],
      ['/', '--no-warnings', 'b', 'ws://'],
    ]);
  });

  it('gives each worker an inspector port of its own', async () => {
    const ports = await runCluster(
      async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        let last = 41_996;
        setUp({ execArgv: ['--inspect=0'], inspectPort: () => ++last, silent: true });
        const workers = [cluster.fork(), cluster.fork()];
        const messages = await Promise.all(workers.map((worker) => once(worker, 'message')));
        console.log(
          JSON.stringify(messages.flat().filter((message) => typeof message === 'string')),
        );
        cluster.disconnect();
      },
      () => process.send(process.execArgv.find((option) => option.startsWith('--inspect-port'))),
    );
    assert.deepEqual(ports, ['--inspect-port=41997', '--inspect-port=41998']);
  });

  it('leaves handles of the user usable: a server and a native handle, both ways', async () => {
    const answers = await runCluster(
      async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        const net = require('node:net');
        const { text } = require('node:stream/consumers');
        setUp();
        const worker = cluster.fork();
        const ask = (port) => text(net.connect(port, '127.0.0.1'));
        const listen = async (onConnection) => {
          const server = net.createServer(onConnection).listen(0, '127.0.0.1');
          await once(server, 'listening');
          return server;
        };
        const answers = [];
        for (const kind of ['server', 'native']) {
          const server = await listen();
          const { port } = server.address();
          worker.send({ kind, port }, kind === 'native' ? server._handle : server);
          await once(worker, 'message');
          server.close();
          answers.push(await ask(port));
        }
        worker.send({ kind: 'give' });
        const [port, given] = await once(worker, 'message');
        given.on('connection', (socket) => socket.end('primary'));
        worker.send({ kind: 'stop' });
        await once(worker, 'message');
        answers.push(await ask(port));
        given.close();
        console.log(JSON.stringify(answers));
        worker.process.kill(); // its servers would keep it alive
      },
      () => {
        const net = require('node:net');
        let own;
        process.on('message', ({ kind }, handle) => {
          const answer = (socket) => socket.end(`worker ${kind}`);
          if (kind === 'server') handle.on('connection', answer);
          else if (kind === 'native') net.createServer(answer).listen(handle);
          else if (kind === 'give') {
            // exclusive: its own, and not the primary's
            own = net.createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
              process.send(own.address().port, own);
            });
            return;
          } else own.close();
          process.send('ready');
        });
      },
    );
    assert.deepEqual(answers, ['worker server', 'worker native', 'primary']);
  });

  itIsBetter(
    'answers every request while workers are killed, but those that were taken',
    async () => {
      const register = require.resolve('../../lib/register');
      const [requests, kills] = isLong ? [300, 5] : [120, 2];
      const numbers = [requests, kills, 200].map(String);
      const args = ['--require', register, fixture('cluster-storm.js'), ...numbers];
      const { stdout, stderr, code } = await run(process.execPath, [
        ...args,
        path.join(folder, 'log'),
      ]);
      // A worker that is killed by chance while it starts says nothing; nobody else has a reason to.
      assert.equal(stderr, '');
      assert.equal(code, 0);
      const { answered, failed, notTaken, kills: killed } = JSON.parse(stdout);
      assert.ok(killed >= kills);
      assert.ok(answered + failed >= requests);
      assert.deepEqual(notTaken, []);
    },
  );
});
