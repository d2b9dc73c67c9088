const { fork } = require('../..');
const child = fork(`${__dirname}/child.js`);
const server = require('net').createServer();

server.on('connection', (socket) => {
  child.send('socket', socket);
});
server.listen(1337);
