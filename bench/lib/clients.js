'use strict';

// Connects to a workload's server, from a process of its own that is not measured. By mode, for each request
// { port, count, concurrency } of the driver:
//   hold      opens `count` connections, answers { open }, and a second time, { closed }, when all of them have ended
//   greeting  reads `count` answers to the end, so many at a time, answers { answered }
//   close     the same with HTTP requests, each on a connection of its own
//   alive     HTTP requests over `concurrency` connections that stay open

const net = require('node:net');

const [mode] = process.argv.slice(2);
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n';

function fail(error) {
  process.send({ error: String(error.stack ?? error) });
}

function open(port, onConnect) {
  return net.connect(port, '127.0.0.1', onConnect).on('error', fail);
}

function hold({ port, count }) {
  let opened = 0;
  let closed = 0;
  for (let i = 0; i < count; i++) {
    const socket = open(port, () => ++opened === count && process.send({ open: count }));
    socket.on('close', () => ++closed === count && process.send({ closed: count }));
    socket.resume();
  }
}

/** Runs `once(next)` `count` times, `concurrency` at a time. */
function repeat({ count, concurrency }, once) {
  let started = 0;
  let finished = 0;
  const next = () => {
    if (++finished === count) process.send({ answered: count });
    else if (started < count) start();
  };
  const start = () => {
    started++;
    once(next);
  };
  for (let i = 0; i < Math.min(concurrency, count); i++) start();
}

/** Reads to the end what the server answers to `request`. */
function readAll(port, request, isWhole, next) {
  let text = '';
  const socket = open(port, () => request && socket.write(request));
  socket.setEncoding('latin1');
  socket.on('data', (data) => {
    text += data;
  });
  socket.on('close', () => {
    if (isWhole(text)) next();
    else fail(`the answer was ${JSON.stringify(text)}`);
  });
}

/** Requests over one connection: bodies are 'ok', and nothing else ends like that. */
function keepAlive({ port, count, concurrency }) {
  let answered = 0;
  for (let i = 0; i < concurrency; i++) {
    const socket = open(port, () => socket.write(`${REQUEST}\r\n`));
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      if (!text.startsWith('HTTP/1.1 200') || !text.endsWith('\r\n\r\nok')) fail(`answer ${text}`);
      if (++answered + concurrency <= count) socket.write(`${REQUEST}\r\n`);
      else socket.end();
      if (answered === count) process.send({ answered });
    });
  }
}

const modes = {
  hold,
  greeting: (request) =>
    repeat(request, (next) => readAll(request.port, '', (text) => text === 'hello', next)),
  close: (request) =>
    repeat(request, (next) => {
      const isWhole = (text) => text.startsWith('HTTP/1.1 200') && text.endsWith('ok');
      readAll(request.port, `${REQUEST}Connection: close\r\n\r\n`, isWhole, next);
    }),
  alive: keepAlive,
};

process.on('message', modes[mode]);
