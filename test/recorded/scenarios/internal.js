'use strict';

const net = require('node:net');

exports.about = 'internal messages both ways; a handle with one that nobody listens to is REFUSED';

exports.parent = (channel, log) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    channel.send({ cmd: 'NODE_ONE' });
    channel.send('in order');
    channel.send({ cmd: 'NODE_HANDLE' }, server);
  });
  channel.on('internalMessage', ({ cmd }) => log('internalMessage', cmd));
  channel.on('message', (message) => log('message', message));
  channel.on('undelivered', (message, handle) => {
    log('undelivered', message, handle === server);
    server.close();
    channel.disconnect();
  });
};

exports.child = (channel, log) => {
  channel.on('message', (message) => log('message', message));
  channel.once('internalMessage', ({ cmd }) => {
    log('internalMessage', cmd);
    channel.send({ cmd: 'NODE_TWO' });
    channel.send('from the child');
  });
};
