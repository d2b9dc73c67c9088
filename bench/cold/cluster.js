'use strict';

// Primary and worker of Node's cluster in fresh processes: the worker answers `count` connections. cluster.js <subject> <mode>
// <count>, run by bench/lib/tree.js; forkwire comes in through --require forkwire/register.

const cluster = require('node:cluster');

const count = Number(process.argv[4]);

const usage = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

function runPrimary() {
  const worker = cluster.fork();
  let before;
  cluster.on('listening', (_worker, address) => {
    before = usage();
    console.log(JSON.stringify(address));
  });
  worker.on('message', ({ cpu }) => {
    console.log(JSON.stringify({ count, cpu: usage() - before + cpu }));
    worker.disconnect();
  });
}

function runWorker() {
  let closed = 0;
  let before;
  const server = require('node:net').createServer((socket) => {
    socket.on('close', () => {
      if (++closed === count) process.send({ cpu: usage() - before });
    });
    socket.on('error', () => {});
    socket.end('hello');
    socket.resume();
  });
  server.listen(0, '127.0.0.1', () => {
    before = usage();
  });
}

if (cluster.isPrimary) runPrimary();
else runWorker();
