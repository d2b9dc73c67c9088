'use strict';

// throng: a cluster of http workers, one of which is killed and started again, and an orderly end.

const assert = require('node:assert/strict');
const cluster = require('node:cluster');
const http = require('node:http');
const { once } = require('node:events');
const throng = require('throng');

const PORT = 41_871;

async function worker(_id, disconnect) {
  const server = http.createServer((_request, response) => {
    response.setHeader('connection', 'close');
    response.end(JSON.stringify({ pid: process.pid, protocol: process.channel.protocol }));
  });
  process.once('SIGTERM', () => server.close(disconnect));
  server.listen(PORT, '127.0.0.1');
}

async function ask() {
  const [response] = await once(http.get({ host: '127.0.0.1', port: PORT }), 'response');
  const chunks = await response.toArray();
  return JSON.parse(Buffer.concat(chunks));
}

async function answers() {
  const found = new Set();
  while (found.size < 2) {
    const { pid, protocol } = await ask();
    assert.equal(protocol, 'native');
    found.add(pid);
  }
  return found;
}

async function check() {
  await once(cluster, 'listening');
  await once(cluster, 'listening');
  const [first, second] = await answers();
  process.kill(first, 'SIGKILL');
  await once(cluster, 'listening');
  const after = await answers();
  assert.ok(after.has(second));
  assert.ok(!after.has(first));
  console.log('all passed');
  process.kill(process.pid, 'SIGTERM');
}

// throng waits for master() before it forks.
function master() {
  check();
}

throng({ worker, master, count: 2, grace: 5000 });
