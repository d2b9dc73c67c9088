// examples/handoff/parent.js as it is: no types of one's own.

import { createServer } from 'node:net';
import { fork } from 'forkwire';

const child = fork(`${__dirname}/child.js`);
const server = createServer();

server.on('connection', (socket) => {
  child.send('socket', socket);
});
server.listen(1337);
