'use strict';

const net = require('node:net');

exports.about = 'a socket whose sender still has bytes to write: WRITES_PENDING, then WRITES_DONE';

const SIZE = 12_000_000;

exports.parent = (channel, log) => {
  const server = net.createServer((socket) => {
    socket.write(Buffer.alloc(SIZE, 'x'));
    channel.send('written to', socket);
  });
  let client;
  channel.on('message', (message) => {
    log('message', message);
    if (message === 'got it') client.resume();
    else server.close(() => channel.disconnect());
  });
  server.listen(0, '127.0.0.1', () => {
    client = net.connect(server.address().port, '127.0.0.1').pause();
    client.on('error', () => {}); // of a replayed child, which takes the socket and just closes it
  });
};

exports.child = (channel, log) => {
  channel.on('message', (message, socket) => {
    log('message', message);
    socket.end('THE END');
    socket.on('close', () => channel.send('closed'));
    channel.send('got it');
  });
};
