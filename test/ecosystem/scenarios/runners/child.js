'use strict';

process.on('message', (message, socket) => {
  if (socket) socket.end('from the child');
  else process.send({ ...message, protocol: process.channel.protocol });
});
