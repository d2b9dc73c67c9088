'use strict';

// A socket goes to a child, which answers and gives it back.

const net = require('node:net');
const { fork } = require('forkwire');

if (process.argv[2] === 'child') {
  process.on('message', (_message, socket) => {
    socket.write('child ', () => process.send('back', socket));
  });
} else {
  const child = fork(__filename, ['child']);
  const { protocol } = child.channel;
  child.on('message', (_message, socket) => {
    socket.end('parent');
    child.disconnect();
  });
  const server = net
    .createServer((socket) => child.send('there', socket))
    .listen(0, () => {
      let text = '';
      net
        .connect(server.address().port)
        .setEncoding('utf8')
        .on('data', (chunk) => {
          text += chunk;
        })
        .on('close', () => {
          console.log(protocol, text);
          server.close();
        });
    });
}
