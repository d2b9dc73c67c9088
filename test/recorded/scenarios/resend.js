'use strict';

const net = require('node:net');

exports.about = 'a child without room for descriptors asks for them again: RESEND, HANDLE_FD';
exports.limit = 40; // descriptors of the child
exports.streams = ['child']; // what the parent said fits only a child that misses the same ones

const COUNT = 60;

exports.parent = (channel, log) => {
  const server = net.createServer();
  server.listen(0, '127.0.0.1', () => {
    for (let i = 0; i < COUNT; i++) channel.send(i, server);
    channel.send('behind them');
    server.close();
  });
  channel.on('message', (message) => {
    log('message', message);
    channel.disconnect();
  });
};

exports.child = (channel, log) => {
  const messages = [];
  channel.on('message', (message, handle) => {
    messages.push(message);
    if (handle) handle.close();
    if (message !== 'behind them') return;
    log('messages', messages);
    channel.send('all');
  });
};
