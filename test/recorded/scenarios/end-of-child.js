'use strict';

const net = require('node:net');

exports.about = 'the child disconnects in the listener that took a socket: its END has the range';

exports.clients = [{ says: '', gets: 'bye' }];

exports.parent = (channel, log) => {
  const server = net.createServer((socket) => channel.send('last', socket));
  channel.on('undelivered', () => log('undelivered'));
  channel.on('disconnect', () => server.close(() => log('server closed')));
  server.listen(0, '127.0.0.1', () => {
    net.connect(server.address().port, '127.0.0.1').resume().end();
  });
};

exports.child = (channel, log) => {
  channel.on('message', (message, socket) => {
    log('message', message);
    socket.end('bye');
    channel.disconnect();
  });
};
