'use strict';

const net = require('node:net');

exports.about =
  'counted sockets with bytes that were read before; COUNTS is ahead of the message that tells';

exports.clients = [
  { says: 'one', gets: 'got one' },
  { says: 'two', gets: 'got two' },
  { says: 'three', gets: 'got three' },
];

exports.parent = (channel, log) => {
  const clients = [...exports.clients];
  const server = net.createServer((socket) => {
    socket.once('readable', () => channel.send('socket', socket));
  });
  const connect = () => {
    const { says } = clients.shift();
    net.connect(server.address().port, '127.0.0.1').end(says).resume();
  };
  channel.on('message', (message) => {
    server.getConnections((_, count) => log('message', message, count));
    if (clients.length > 0) connect();
    else server.close(() => channel.disconnect());
  });
  server.listen(0, '127.0.0.1', connect);
};

exports.child = (channel, log) => {
  channel.on('message', (message, socket) => {
    log('message', message, socket.constructor.name, socket.allowHalfOpen);
    socket.once('data', (data) => socket.end(`got ${data}`));
    socket.on('close', () => channel.send('closed'));
  });
};
