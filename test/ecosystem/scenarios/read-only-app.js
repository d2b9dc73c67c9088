'use strict';

// A server in cluster and a child, as they are written for stock Node. The first line is the wire.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const cluster = require('node:cluster');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');

async function ask(port) {
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

async function talkToChild() {
  const child = fork(__filename, ['child']);
  console.log(child.channel.protocol);
  const big = 'x'.repeat(3_000_000);
  child.send({ big });
  const [{ length }] = await once(child, 'message');
  console.log(`${length} characters`);
  child.disconnect();
  const [code] = await once(child, 'exit');
  console.log(`exit ${code}`);
}

async function serve() {
  const worker = cluster.fork();
  const [, { port }] = await once(cluster, 'listening');
  console.log(await ask(port));
  worker.disconnect();
  await once(cluster, 'exit');
  console.log('served');
}

async function handOver() {
  const child = fork(__filename, ['child']);
  const server = net.createServer({ pauseOnConnect: true }, (socket) => child.send('take', socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  console.log(await ask(server.address().port));
  server.close();
  child.disconnect();
  await once(child, 'exit');
}

async function main() {
  assert.throws(() => fs.writeFileSync(`${__dirname}/new`, ''), { code: 'EROFS' });
  assert.deepEqual(fs.readdirSync('/proc'), []);
  await talkToChild();
  await serve();
  await handOver();
}

if (cluster.isWorker) {
  net.createServer((socket) => socket.end('from a worker')).listen(0, '127.0.0.1');
} else if (process.argv[2] === 'child') {
  process.on('message', (message, socket) => {
    if (socket) socket.end('from a child');
    else process.send({ length: message.big.length });
  });
} else main();
