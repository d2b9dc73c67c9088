'use strict';

const net = require('node:net');

exports.about = "a counted socket that the child gives back, with the server's key";

exports.clients = [{ says: '', gets: '' }]; // of a replayed parent, which just closes it

exports.parent = (channel, log) => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) =>
    channel.send('yours', socket),
  );
  const count = () => server.getConnections((_, connections) => log('connections', connections));
  channel.on('message', (message, socket) => {
    log('message', message, socket.allowHalfOpen);
    count();
    socket.resume().end('the parent answered after all');
    server.close(() => {
      count();
      channel.disconnect();
    });
  });
  server.listen(0, '127.0.0.1', () => {
    net.connect(server.address().port, '127.0.0.1').resume().end();
  });
};

exports.child = (channel, log) => {
  channel.on('message', (message, socket) => {
    log('message', message, socket.allowHalfOpen);
    channel.send('no, yours', socket);
  });
};
