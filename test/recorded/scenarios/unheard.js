'use strict';

const net = require('node:net');

exports.about = 'a socket that landed where nobody listens: END comes without having TAKEN it';

exports.clients = [{ says: '', gets: '' }];

exports.parent = (channel, log) => {
  const server = net.createServer((socket) => {
    channel.send('nobody listens', socket);
    channel.send({ cmd: 'NODE_GO' });
  });
  channel.on('undelivered', (message, socket) => {
    log('undelivered', message, socket.constructor.name);
    socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1', () => {
    net.connect(server.address().port, '127.0.0.1').resume();
  });
};

exports.child = (channel, log) => {
  channel.channel.ref();
  channel.on('internalMessage', ({ cmd }) => {
    log('internalMessage', cmd);
    channel.disconnect();
  });
};
