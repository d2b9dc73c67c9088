'use strict';

// @socket.io/sticky: the primary reads the head of each connection and sends its socket to the worker of that session.

const assert = require('node:assert/strict');
const cluster = require('node:cluster');
const http = require('node:http');
const { once } = require('node:events');
const { setupMaster, setupWorker } = require('@socket.io/sticky');

function runWorker() {
  const { Server } = require('socket.io');
  const io = new Server(http.createServer());
  setupWorker(io);
  io.on('connection', (socket) => {
    socket.on('who', (answer) => answer({ pid: process.pid, protocol: process.channel.protocol }));
  });
}

async function runPrimary() {
  const { io } = require('socket.io-client');
  const server = http.createServer();
  setupMaster(server, { loadBalancingMethod: 'round-robin' });
  cluster.setupPrimary({ serialization: 'advanced' }); // it sends Buffers
  const workers = [cluster.fork(), cluster.fork()];
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const pids = new Set();
  for (const transports of [['polling'], ['websocket'], ['polling', 'websocket'], ['polling']]) {
    const socket = io(url, { transports, forceNew: true });
    const { pid, protocol } = await socket.timeout(20_000).emitWithAck('who');
    assert.equal(protocol, 'native');
    // Every request of a session goes to one worker, or the server would not know it.
    for (let i = 0; i < 5; i++) assert.equal((await socket.emitWithAck('who')).pid, pid);
    pids.add(pid);
    socket.disconnect();
  }
  assert.deepEqual([...pids].toSorted(), workers.map((worker) => worker.process.pid).toSorted());
  console.log('all passed');
  process.exit();
}

if (cluster.isPrimary) runPrimary();
else runWorker();
