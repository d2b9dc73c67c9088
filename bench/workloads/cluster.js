'use strict';

// Node's cluster module, round robin: forkwire comes in through forkwire/register.

const cluster = require('node:cluster');
const { once } = require('node:events');
const { CHILD, ProcessEndpoint } = require('../lib/endpoint');

const WORKERS = 2;
const CONCURRENCY = 16;

function forkWorker(subject, workload) {
  if (subject === 'forkwire') require('../../lib/register');
  cluster.setupPrimary({ exec: CHILD, args: [workload, subject] });
  return new ProcessEndpoint(cluster.fork().process);
}

/** All workers listen on one port, which the primary knows. */
async function listen(context) {
  const listening = once(cluster, 'listening');
  const all = context.peers.map((peer) => peer.start(0, 0).then(() => peer.answer()));
  const [, { port }] = await listening;
  await Promise.all(all);
  context.port = port;
}

let server;

function startServer(ready) {
  server = require('node:http').createServer((_request, response) => {
    response.setHeader('content-length', 2);
    response.end('ok');
  });
  server.listen(0, '127.0.0.1', ready);
}

/** The workers answer until the driver says that the clients have all they asked for. */
function child(_endpoint, { finish }) {
  if (server) return () => finish();
  startServer(() => finish());
  return () => {};
}

const requests = (name, title, clients, target) => ({
  name,
  title,
  unit: 'request',
  group: 'cluster',
  measures: [{ what: 'cpu', target }],
  clients,
  children: WORKERS,
  warmTime: 8000, // three processes, and all of an HTTP server
  count: 200,
  multiple: CONCURRENCY,
  connect: forkWorker,
  setUp: listen,

  async parent({ peers, clients: process, port }, count) {
    await process.ask({ port, count, concurrency: CONCURRENCY });
    for (const peer of peers) peer.send('through');
  },

  child,
});

module.exports = [
  requests('cluster-close', 'cluster, Connection: close', 'close', 1.2),
  requests('cluster-keep-alive', 'cluster, keep-alive', 'alive'),
];
