// examples/handoff/worker.js, typed, as CommonJS.

import { Socket } from 'node:net';
import type { ForkedProcess } from 'forkwire';
import type { Answered } from './messages';

const parent = process as ForkedProcess<Answered, 'socket'>;

parent.on('message', (_message, socket) => {
  if (!(socket instanceof Socket)) return;
  const client = `${socket.remoteAddress}:${socket.remotePort}`;
  socket.on('error', () => {});
  socket.end('Child handled it.');
  if (parent.connected) parent.send({ answered: client });
});
