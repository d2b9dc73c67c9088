'use strict';

// A cluster of two, under `--require forkwire/register`: every request is answered by a worker.

const cluster = require('node:cluster');
const http = require('node:http');

async function ask(port, count) {
  const pids = new Set();
  for (let i = 0; i < count; i++) {
    const headers = { connection: 'close' };
    const response = await fetch(`http://127.0.0.1:${port}`, { headers });
    pids.add(await response.text());
  }
  return pids;
}

async function main() {
  const workers = [cluster.fork(), cluster.fork()];
  const protocols = workers.map(({ process: { channel } }) => channel.protocol);
  const ports = await Promise.all(
    workers.map(
      (worker) => new Promise((resolve) => worker.on('listening', ({ port }) => resolve(port))),
    ),
  );
  const pids = await ask(ports[0], 4);
  console.log(...protocols, pids.size);
  cluster.disconnect();
}

if (cluster.isPrimary) main();
else
  http
    .createServer((_request, response) => response.end(String(process.pid)))
    .listen(0, '127.0.0.1');
