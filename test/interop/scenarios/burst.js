'use strict';

// Fifty sockets at once, with messages between them: all arrive, in order, each callback is called once.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { close, connectedPair, connectionsOf } = require('../../fixtures/socket-clients');
const { until } = require('../../helpers/until');

const COUNT = 50;
const HELD = 3; // of them are open when the server is closed
const HOST = '127.0.0.9'; // stock takes servers with the same address and port 0 for the same one

function sendAll(child, sockets) {
  const calledBack = [];
  const expected = [];
  for (const [index, socket] of sockets.entries()) {
    child.send({ do: 'keep', index }, socket, (error) => calledBack.push([index, error]));
    expected.push({ kept: index });
    if (index % 10 !== 9) continue;
    child.send({ do: 'plain', index });
    expected.push({ plain: index });
  }
  return { calledBack, expected };
}

async function run({ child, next }) {
  const server = net.createServer().listen(0, HOST);
  await once(server, 'listening');
  const pairs = [];
  for (let i = 0; i < COUNT; i++) pairs.push(await connectedPair(server, { host: HOST }));
  const clients = pairs.map(([, client]) => client);
  const read = clients.map((client) => {
    let text = '';
    client.on('data', (chunk) => {
      text += chunk;
    });
    return () => text;
  });
  const { calledBack, expected } = sendAll(
    child,
    pairs.map(([socket]) => socket),
  );
  const got = [];
  while (got.length < expected.length) got.push(await next());
  assert.deepEqual(got, expected);
  await until(() => read.every((text, i) => text() === String(i)), 'all written to');
  assert.deepEqual(
    calledBack,
    clients.map((_, i) => [i, null]),
  );
  await count(server, child, clients);
}

/** Connections that the child holds count, also for close(). */
async function count(server, child, clients) {
  assert.equal(await connectionsOf(server), COUNT);
  for (const client of clients.splice(HELD)) client.destroy();
  await until(async () => (await connectionsOf(server)) === HELD, 'those that are left');
  let isClosed = false;
  const closed = close(server).then(() => {
    isClosed = true;
  });
  clients.pop().destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isClosed, false);
  child.send({ do: 'close' });
  await closed;
}

module.exports = { name: 'burst and counts', run };
