'use strict';

// npm run soak [minutes]: messages, sockets, counts and kills without a pause; memory and descriptors of the parent, and of a child that
// lives as long, must stay flat. One minute by default. Prints a line every ten seconds.

const fs = require('node:fs');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { connectionsOf, connect, listen } = require('../fixtures/socket-clients');
const { descriptorsOf } = require('../helpers/descriptors');
const { forkFunction } = require('../helpers/fork-fixture');
const { until } = require('../helpers/until');

const MINUTES = Number(process.argv[2] ?? 1);
const MB = 1 << 20;
const MAX_GROWTH = 24 * MB; // of what V8 and malloc keep for themselves

/** Gives back what it gets; answers a socket. */
function serve() {
  process.on('message', (message, socket) => {
    if (socket) socket.on('error', () => {}).end(`answered ${process.pid}`);
    else process.send(message);
  });
}

const seen = { messages: 0, answered: 0, returned: 0, kills: 0, wrong: 0 };

function addChild() {
  const child = forkFunction(serve);
  child.expected = 0;
  child.sent = 0;
  child.on('message', ({ number }) => {
    if (number !== child.expected++) seen.wrong++;
    seen.messages++;
  });
  child.on('undelivered', (_message, socket) => {
    seen.returned++;
    socket.end('answered here');
  });
  return child;
}

function sendMessages(child) {
  for (let i = 0; i < 500; i++) {
    child.send({ number: child.sent++, text: 'x'.repeat((child.sent * 37) % 3000) }, () => {});
  }
}

async function askOne(server) {
  const client = await connect(server);
  client.resume();
  client.on('data', () => seen.answered++);
  await once(client, 'close');
}

function residentSize(pid) {
  const [, pages] = fs.readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ');
  return Number(pages) * 4096;
}

const stateOf = (pid) => ({ fds: descriptorsOf(pid).size, rss: residentSize(pid) });

/** One second of everything; afterwards all is quiet. */
async function round(server, children) {
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    for (const child of children) sendMessages(child);
    await Promise.all(Array.from({ length: 50 }, () => askOne(server)));
  }
  const victim = children[1];
  const closed = once(victim, 'close');
  const asked = Promise.all(Array.from({ length: 50 }, () => askOne(server)));
  victim.kill('SIGKILL');
  seen.kills++;
  children[1] = addChild();
  await Promise.all([closed, asked]);
  await until(
    () => children.every(({ sent, expected }) => sent === expected),
    'all echoes',
    30_000,
  );
  await until(async () => (await connectionsOf(server)) === 0, 'no connection', 30_000);
}

function flat(name, samples) {
  const half = samples.slice(Math.floor(samples.length / 2));
  const growth = half.at(-1).rss - Math.min(...half.map(({ rss }) => rss));
  const fds = new Set(half.map((sample) => sample.fds));
  console.log(
    `${name}: descriptors ${[...fds]}, memory ${(growth / MB).toFixed(1)} MB above its least`,
  );
  return fds.size === 1 && growth < MAX_GROWTH;
}

async function soak() {
  const children = [addChild(), addChild()];
  let next = 0;
  const server = await listen({}, (socket) => {
    socket.on('error', () => {});
    const living = children.filter(({ connected }) => connected);
    living[next++ % living.length].send('socket', socket, () => {});
  });
  const samples = [];
  const end = performance.now() + MINUTES * 60_000;
  while (performance.now() < end) {
    await round(server, children);
    await wait(50);
    samples.push([stateOf(process.pid), stateOf(children[0].pid)]);
    if (samples.length % 10 === 0)
      console.log(JSON.stringify({ ...seen, parent: samples.at(-1)[0] }));
  }
  const isFlat = [
    flat(
      'parent',
      samples.map(([parent]) => parent),
    ),
    flat(
      'child',
      samples.map(([, child]) => child),
    ),
  ];
  for (const child of children) child.disconnect();
  server.close();
  process.exitCode = isFlat.every(Boolean) && seen.wrong === 0 ? 0 : 1;
}

soak();
