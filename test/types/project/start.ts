// examples/handoff/start.js, typed, as CommonJS: several children in turn.

import net = require('node:net');
import forkwire = require('forkwire');

import type { Answered } from './messages';

type Child = forkwire.ForkedChild<'socket', Answered>;

const children: Child[] = [];
let next = 0;

function handOver(socket: net.Socket): void {
  const child = children[next++ % children.length];
  if (child?.connected) child.send('socket', socket, () => {});
  else socket.destroy();
}

function startChild(): void {
  const child: Child = forkwire.fork(require.resolve('./worker'));
  children.push(child);
  child.on('message', ({ answered }) => console.log(`child ${child.pid} answered ${answered}`));
  child.on('undelivered', (_message, socket) => {
    if (socket instanceof net.Socket) handOver(socket);
  });
  child.on('exit', () => {
    children.splice(children.indexOf(child), 1);
    startChild();
  });
}

startChild();
net.createServer(handOver).listen(1337);
