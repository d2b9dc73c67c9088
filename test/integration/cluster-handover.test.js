'use strict';

// Connections on their way to a worker that goes away: another one answers them, or the client sees an end.

const assert = require('node:assert/strict');
const { runCluster } = require('../helpers/cluster');
const { isStock, itIsBetter } = require('../helpers/subject');

/** Answers each connection with its pid; at 'close' it stops, then closes its server and says so. */
function answerWithPid() {
  const net = require('node:net');
  const server = net.createServer((socket) => socket.end(String(process.pid)));
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1');
  process.on('message', (message) => {
    if (message !== 'close') return;
    process.kill(process.pid, 'SIGSTOP');
    server.close(() => process.send('closed'));
  });
}

/** The same for a worker that listens to no messages. */
function answerOnly() {
  const net = require('node:net');
  net.createServer((socket) => socket.end(String(process.pid))).listen(0);
}

describe('a connection on its way to a worker of cluster', () => {
  for (const [what, worker] of [
    ['', answerWithPid],
    [', also past messages that it does not listen to', answerOnly],
  ]) {
    itIsBetter(`that is killed is answered by another${what}`, async () => {
      const found = await runCluster(async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        const { text } = require('node:stream/consumers');
        const net = require('node:net');
        const { stop } = require('../helpers/stopped');
        setUp();
        const workers = [cluster.fork(), cluster.fork()];
        const [[{ port }]] = await Promise.all(workers.map((each) => once(each, 'listening')));
        const [first, second] = workers;
        for (let i = 0; i < 100; i++) first.send({ text: 'x'.repeat(1000) });
        stop(first.process);
        const seen = [];
        cluster.on('disconnect', () => seen.push('disconnect'));
        process.on('undelivered', () => seen.push('undelivered'));
        // One goes to each, and the rest to the one that runs.
        const answers = Array.from({ length: 6 }, async () => {
          const answer = await text(net.connect(port));
          seen.push(answer === String(second.process.pid) ? 'second' : answer);
        });
        const { until } = require('../helpers/until');
        await until(() => seen.length === 5);
        first.process.kill('SIGKILL');
        await Promise.all(answers);
        console.log(JSON.stringify(seen));
        second.kill();
      }, worker);
      assert.deepEqual(found, [...Array(5).fill('second'), 'disconnect', 'second']);
    });
  }

  /** The only worker is killed before it answers; `restart`: whether there is another one. */
  async function killTheOnlyOne(setUp, restart) {
    const cluster = require('node:cluster');
    const { once } = require('node:events');
    const { text } = require('node:stream/consumers');
    const net = require('node:net');
    const { descriptorsOf } = require('../helpers/descriptors');
    const { stop } = require('../helpers/stopped');
    const { until } = require('../helpers/until');
    const server = net.createServer().listen(0);
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    setUp();
    const first = cluster.fork({ PORT: port });
    await once(first, 'listening');
    stop(first.process);
    const before = descriptorsOf().size;
    const client = net.connect(port, '127.0.0.1');
    // The client, and what was accepted, which stays here until it is taken.
    await until(() => descriptorsOf().size >= before + 2);
    const begin = performance.now();
    first.process.kill('SIGKILL');
    await once(first, 'exit');
    const next = restart ? cluster.fork({ PORT: port }) : null;
    const answer = await text(client);
    const took = performance.now() - begin;
    console.log(JSON.stringify([answer === String(next?.process.pid), answer, took]));
    next?.kill();
  }

  itIsBetter('that was the only one is answered by the next one', async () => {
    const [isNext] = await runCluster(killTheOnlyOne, answerWithPid, true);
    assert.ok(isNext);
  });

  itIsBetter('that was the only one ends after five seconds when none comes', async () => {
    const [, answer, took] = await runCluster(killTheOnlyOne, answerWithPid, false);
    assert.equal(answer, '');
    assert.ok(took > 4000 && took < 30_000, `${took} ms`);
  });

  itIsBetter(
    'that closes its server meanwhile goes to another, also to one that comes later',
    async () => {
      const found = await runCluster(async (setUp) => {
        const cluster = require('node:cluster');
        const { once } = require('node:events');
        const { text } = require('node:stream/consumers');
        const net = require('node:net');
        const { descriptorsOf } = require('../helpers/descriptors');
        const { resume, untilStopped } = require('../helpers/stopped');
        const { until } = require('../helpers/until');
        setUp();
        const first = cluster.fork();
        const [{ port }] = await once(first, 'listening');
        first.send('close');
        untilStopped(first.process);
        const before = descriptorsOf().size;
        const answer = text(net.connect(port));
        // The client, and what was accepted, which stays here until it is taken.
        await until(() => descriptorsOf().size >= before + 2);
        resume(first.process);
        await once(first, 'message');
        const next = cluster.fork();
        console.log(JSON.stringify((await answer) === String(next.process.pid)));
        cluster.disconnect();
      }, answerWithPid);
      assert.equal(found, true);
    },
  );

  it('is sent when there is a descriptor for it again, where the primary has none', async () => {
    const found = await runCluster(
      async (setUp) => {
        const cluster = require('node:cluster');
        const { closeSync, openSync } = require('node:fs');
        const { once } = require('node:events');
        const { setTimeout: sleep } = require('node:timers/promises');
        const { setDescriptorLimit } = require('../helpers/limits');
        setUp();
        const worker = cluster.fork();
        await once(worker, 'listening');
        setDescriptorLimit(process.pid, 100);
        const open = [];
        try {
          for (;;) open.push(openSync('/dev/null'));
        } catch {
          closeSync(open.pop()); // for what accept() gives
        }
        const answers = [];
        worker.on('message', (answer) => answers.push(answer));
        worker.send('ask');
        await sleep(300);
        const before = answers.length;
        for (const fd of open) closeSync(fd);
        while (answers.length < 1) await sleep(10);
        worker.send('ask');
        while (answers.length < 2) await sleep(10);
        console.log(JSON.stringify([before, answers]));
        worker.disconnect();
      },
      () => {
        const net = require('node:net');
        const { text } = require('node:stream/consumers');
        const server = net.createServer((socket) => socket.end('an answer'));
        server.listen(0, () => {
          const { port } = server.address();
          process.on('message', async () => process.send(await text(net.connect(port))));
        });
      },
    );
    assert.deepEqual(found, [isStock ? 1 : 0, ['an answer', 'an answer']]);
  });
});
