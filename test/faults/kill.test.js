'use strict';

// Processes killed while connections are on their way to them.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { close, connectionsOf, listen } = require('../fixtures/socket-clients');
const { runClients } = require('../helpers/clients');
const { Dealer } = require('../helpers/dealer');
const { forkFunction } = require('../helpers/fork-fixture');
const { functionArgs } = require('../helpers/run');
const { isLong } = require('../helpers/scale');
const { stop } = require('../helpers/stopped');
const { Tally } = require('../helpers/tally');
const { startedProcesses } = require('../helpers/processes');
const { until } = require('../helpers/until');
const { onEachWire } = require('../helpers/wires');

/**
 * How many clients may go without an answer for each child that is killed: a child that is stock Node acknowledges a
 * handle before its program has it.
 */
const lossOf = (channel) => (channel === 'node' ? 1 : 0);

/** What clients.js says: all were answered, but for the `loss` that the wire allows. */
function assertAnswered({ answered, twice, unanswered, ...bad }, count, loss) {
  assert.deepEqual(bad, { hung: 0, garbled: 0 });
  assert.ok(unanswered <= loss, `${unanswered} were not answered`);
  assert.equal(answered + twice + unanswered, count);
}

/** The n-th of `kills` children is killed when its share of `count` connections was dealt. */
function killsOf(dealer, count, kills, kill) {
  let dealt = 0;
  let done = 0;
  return () => {
    dealt++;
    if (done === kills || dealt < ((done + 1) * count) / (kills + 1)) return;
    kill(dealer.children[done % dealer.children.length]);
    done++;
    dealer.add();
  };
}

const WAYS_TO_KILL = {
  'as they run': (child) => child.kill('SIGKILL'),
  'stopped first': (child) => {
    process.kill(child.pid, 'SIGSTOP');
    setTimeout(() => child.kill('SIGKILL'), 50);
  },
};

const [COUNT, KILLS, ROUNDS] = isLong ? [6000, 8, 5] : [1200, 4, 1];

onEachWire(`${COUNT} connections at full rate while ${KILLS} children are killed`, (channel) => {
  for (const [how, kill] of Object.entries(WAYS_TO_KILL)) {
    for (let round = 1; round <= ROUNDS; round++) {
      it(`${how}: no connection is lost, each callback comes once, nothing leaks (round ${round})`, async () => {
        const dealer = new Dealer(3, { channel });
        await dealer.up();
        const onDealt = killsOf(dealer, COUNT, KILLS, kill);
        const server = await listen({}, (socket) => {
          dealer.deal(socket);
          onDealt();
        });
        assertAnswered(await runClients(server, { count: COUNT }), COUNT, KILLS * lossOf(channel));
        await dealer.end();
        for (const tally of dealer.tallies) tally.checkEnd();
        assert.equal(await connectionsOf(server), 0);
        await close(server);
      });
    }
  }
});

/** Resolves with the sockets of `count` clients that are connected at once, and with how those clients fare. */
async function manySockets(count) {
  const sockets = [];
  const server = await listen({}, (socket) => sockets.push(socket));
  const fared = runClients(server, { count, concurrency: count });
  await until(() => sockets.length === count, `${count} clients`);
  return { server, sockets, fared };
}

/** Answers until it was given `limit` sockets: then something happens to it. */
function answerUntil(limit, end) {
  let count = 0;
  process.on('message', (_message, socket) => {
    if (socket === undefined) return;
    socket.on('error', () => {});
    socket.end(`answered by ${process.pid};`);
    if (++count !== limit) return;
    if (end === 'exit') process.exit(0);
    if (end === 'throw') throw new Error('of the test');
    if (end === 'disconnect') process.disconnect();
    if (end === 'abort') process.abort();
    if (end === 'kill') process.kill(process.pid, 'SIGKILL');
  });
  process.send('up');
}

/** Sends all to one child, does something to it; whatever comes back is answered here. */
async function sendAll({ channel, sockets, limit, end, act }) {
  const child = forkFunction({ channel, silent: true, with: [limit, end] }, answerUntil);
  const tally = new Tally(child, (_message, socket) => socket.end('answered by parent;'));
  await once(child, 'message');
  if (act?.before) act.before(child);
  for (const [i, socket] of sockets.entries()) tally.send(`socket ${i}`, socket);
  if (act?.after) act.after(child);
  await tally.ended(20_000);
  return tally;
}

const N_SOCKETS = isLong ? 1000 : 600; // more than may be on their way

const killed = (child) => child.kill('SIGKILL');

/** What becomes of a child to which sockets are on their way, and how many it can have taken. */
const FATES = {
  'is killed as it runs': { act: { after: killed }, least: 0, most: N_SOCKETS },
  'was stopped and is killed': { act: { before: stop, after: killed }, least: 0, most: 0 },
  'calls process.exit() in its first listener': { limit: 1, end: 'exit', least: 1, most: 1 },
  'calls process.exit() in a listener': { limit: 300, end: 'exit', least: 300, most: 300 },
  'throws in a listener': { limit: 300, end: 'throw', least: 300, most: 300 },
  'aborts in a listener': { limit: 300, end: 'abort', least: 300, most: 300 },
  'kills itself in a listener': { limit: 300, end: 'kill', least: 300, most: 300 },
  // It ends by itself when it has closed what it took.
  'disconnects in a listener': { limit: 300, end: 'disconnect', least: 300, most: N_SOCKETS },
};

onEachWire(`${N_SOCKETS} sockets on their way to a child that`, (channel) => {
  for (const [fate, { least, most, ...rest }] of Object.entries(FATES)) {
    it(`${fate}: each is answered, there or here, and each callback comes once`, async () => {
      const { server, sockets, fared } = await manySockets(N_SOCKETS);
      const tally = await sendAll({ channel, sockets, ...rest });
      assertAnswered(await fared, N_SOCKETS, lossOf(channel));
      tally.checkEnd();
      const taken = N_SOCKETS - tally.returned;
      assert.ok(taken >= least && taken <= most + lossOf(channel), `${taken} were taken`);
      assert.equal(await connectionsOf(server), 0);
      await close(server);
    });
  }
});

/** A parent in a process of its own, with children of its own. It says its port, and the pids of its children. */
async function startParent(channel, isStopped) {
  const body = (options) => {
    const { Dealer } = require('../helpers/dealer');
    const { listen } = require('./socket-clients');
    const dealer = new Dealer(3, options);
    dealer.up().then(async () => {
      const server = await listen({}, (socket) => dealer.deal(socket));
      const pids = dealer.children.map(({ pid }) => pid);
      process.stdout.write(`${JSON.stringify({ port: server.address().port, pids })}\n`);
    });
  };
  const parent = spawn(process.execPath, functionArgs(body, [{ channel }]), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(parent.stdout, 'data');
  const { port, pids } = JSON.parse(line);
  if (isStopped) for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return { parent, pids, address: () => ({ port }) };
}

onEachWire('a parent that is killed while it hands connections off', (channel) => {
  it('leaves no client without an end, and its children end', async () => {
    const { parent, ...server } = await startParent(channel, false);
    const fared = runClients(server, { count: 300, concurrency: 300 });
    setTimeout(() => parent.kill('SIGKILL'), 120);
    await once(parent, 'exit');
    const { hung, garbled } = await fared;
    assert.deepEqual([hung, garbled], [0, 0]);
    await until(() => !startedProcesses().some(({ pid }) => server.pids.includes(pid)));
  });

  it('and children that are stopped meanwhile: they answer what had arrived when they go on', async () => {
    const { parent, ...server } = await startParent(channel, true);
    const fared = runClients(server, { count: 300, concurrency: 300 });
    setTimeout(() => parent.kill('SIGKILL'), 300);
    await once(parent, 'exit');
    for (const pid of server.pids) process.kill(pid, 'SIGCONT');
    const { hung, garbled } = await fared;
    assert.deepEqual([hung, garbled], [0, 0]);
    await until(() => !startedProcesses().some(({ pid }) => server.pids.includes(pid)));
  });

  it('together with all its children leaves no client without an end', async () => {
    const { parent, ...server } = await startParent(channel, false);
    const fared = runClients(server, { count: 300, concurrency: 300 });
    setTimeout(() => {
      for (const pid of [parent.pid, ...server.pids]) process.kill(pid, 'SIGKILL');
    }, 120);
    await once(parent, 'exit');
    const { hung, garbled } = await fared;
    assert.deepEqual([hung, garbled], [0, 0]);
  });
});
