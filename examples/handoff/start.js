'use strict';

// `npm start`: accepts connections and hands each to one of several children, which answers it.

const net = require('node:net');
const os = require('node:os');
const { fork } = require('../..');

const PORT = Number(process.env.PORT ?? 1337);
const CHILDREN = Math.max(2, os.availableParallelism());

const children = [];
let next = 0;
let isStopping = false;

/** The next child in turn that can take a connection. */
function nextChild() {
  for (let i = 0; i < children.length; i++) {
    const child = children[next++ % children.length];
    if (child.connected) return child;
  }
  return null;
}

function handOver(socket) {
  const child = nextChild();
  if (child) child.send('socket', socket, () => {});
  else socket.destroy();
}

function startChild() {
  const child = fork(require.resolve('./worker.js'));
  children.push(child);
  child.on('message', ({ answered }) => console.log(`child ${child.pid} answered ${answered}`));
  // It died with this connection on its way: the client is still there, and another child can answer.
  child.on('undelivered', (_message, socket) => (isStopping ? socket.destroy() : handOver(socket)));
  child.on('exit', () => {
    children.splice(children.indexOf(child), 1);
    if (!isStopping) startChild();
  });
}

const server = net.createServer(handOver);

function showCount() {
  server.getConnections((_error, count) => console.log(`getConnections: ${count}`));
}

function stop() {
  if (isStopping) return;
  isStopping = true;
  if (process.stdin.isTTY) process.stdin.setRawMode(false).pause();
  server.close();
  for (const child of children) child.disconnect();
}

/** A key shows the number of connections; in raw mode Ctrl-C is a key as well. */
function listenForKeys() {
  process.stdin.setRawMode(true);
  process.stdin.on('data', (key) => (key.includes(3) ? stop() : showCount()));
}

server.on('error', (error) => {
  const isBusy = error.code === 'EADDRINUSE';
  console.error(isBusy ? `Port ${PORT} is in use; PORT=... takes another.` : error.message);
  process.exitCode = 1;
  stop();
});

server.listen(PORT, () => {
  const { port } = server.address();
  for (let i = 0; i < CHILDREN; i++) startChild();
  console.log(`${CHILDREN} children wait on port ${port}. Try:  curl 127.0.0.1:${port}`);
  console.log(
    `How many connections are open: ${process.stdin.isTTY ? 'any key, or ' : ''}kill -USR2 ${process.pid}`,
  );
  console.log('Ctrl-C ends it.');
  if (process.stdin.isTTY) listenForKeys();
});

process.on('SIGUSR2', showCount);
process.on('SIGINT', stop);
process.on('SIGTERM', stop);
