'use strict';

// A server under pm2: says 'ready', and shuts down gracefully when it is told to by a message.

const http = require('node:http');

const server = http.createServer((_request, response) => {
  const { protocol } = process.channel ?? {};
  response.setHeader('connection', 'close');
  response.end(`${process.pid} ${protocol} ${process.env.VERSION}`);
});

process.on('message', (message) => {
  if (message === 'shutdown') server.close(() => process.exit(0));
  else if (message.topic) process.send({ type: 'process:msg', data: { echo: message.data } });
});

server.listen(Number(process.env.APP_PORT), '127.0.0.1', () => process.send('ready'));
