// examples/handoff/child.js: with the types that Node itself gives `process`.

import { Socket } from 'node:net';

process.on('message', (m, socket) => {
  if (m === 'socket' && socket instanceof Socket) {
    socket.end('Child handled it.');
  }
});
