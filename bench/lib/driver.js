'use strict';

// The measured parent process of one subject: runs slices of one workload when bench/run.js says so. Each subject has
// a driver of its own, so that none is slowed down by what the compiler learned, or the heap holds, of another.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { connect } = require('./endpoint');
const { Peer } = require('./peer');
const { load } = require('./workloads');

const [name, subject] = process.argv.slice(2);
const workload = load(name);

function usage() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** The workload's children. Options of fork() may be forkwire's own: stock does not look at them. */
function openPeers() {
  const open = workload.connect ?? connect;
  const peers = [];
  for (let i = 0; i < (workload.children ?? 1); i++) {
    peers.push(new Peer(open(subject, name, workload.forkOptions ?? {})));
  }
  return peers;
}

/** The process that connects to the workload's server; what it uses is not counted. */
async function startClients() {
  if (!workload.clients) return null;
  const clients = fork(path.join(__dirname, 'clients.js'), [workload.clients]);
  clients.ask = async (request) => {
    clients.send(request);
    const [answer] = await once(clients, 'message');
    if (answer.error) throw new Error(`in the clients: ${answer.error}`);
    return answer;
  };
  return clients;
}

/** One slice: { count, wall in ms, cpu of both processes in us, ... what the workload measured itself }. */
async function runSlice(context, count) {
  const { peers } = context;
  await workload.prepare?.(context, count);
  const share = count / Math.max(peers.length, 1);
  const before = await Promise.all(peers.map((peer, index) => peer.start(share, index)));
  const cpu = usage();
  const start = performance.now();
  const details = await workload.parent(context, count);
  const after = await Promise.all(peers.map((peer) => peer.answer()));
  const wall = performance.now() - start;
  const own = usage() - cpu;
  const others = sum(after.map((done, i) => done.cpu - before[i].cpu));
  await workload.cleanUp?.(context, count);
  return { count, wall, cpu: own + others, ...details };
}

async function main() {
  const context = { peers: openPeers(), clients: await startClients(), subject };
  await workload.setUp?.(context);
  process.on('message', async ({ count }) => {
    if (count > 0) {
      process.send(await runSlice(context, count));
      return;
    }
    await workload.tearDown?.(context);
    for (const peer of context.peers) peer.exit();
    context.clients?.disconnect();
    process.disconnect();
  });
  process.send({ isReady: true });
}

process.on('unhandledRejection', (error) => {
  console.error(`${name}, ${subject}:`, error);
  process.exit(1);
});
main();
