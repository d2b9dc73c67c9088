'use strict';

// Connections that are handed to children.

const { once } = require('node:events');
const { setUp, tearDown } = require('../lib/server');

/** Handles that leave together and stay in the child. */
const burst = {
  name: 'sockets-burst',
  title: 'a burst of 5000 sockets to one child',
  unit: 'socket',
  group: 'sockets',
  measures: [
    { what: 'cpu', target: 10 },
    { what: 'rate', target: 6 },
  ],
  clients: 'hold',
  count: 5000,
  fixed: true,
  quickCount: 1000,
  setUp,
  tearDown,

  /** Opens all connections before the clock starts. */
  async prepare(context, count) {
    context.sockets = [];
    const accepted = new Promise((resolve) => {
      context.onConnection = (socket) => {
        if (context.sockets.push(socket) === count) resolve();
      };
    });
    const { port } = context;
    await Promise.all([context.clients.ask({ port, count }), accepted]);
  },

  parent: ({ peers: [peer], sockets }) =>
    new Promise((resolve) => {
      peer.listen(() => {
        peer.rest();
        resolve();
      });
      for (const [i, socket] of sockets.entries()) peer.send(i, socket);
    }),

  async cleanUp({ peers: [peer], clients }) {
    const closed = once(clients, 'message');
    await peer.start(0, 0); // destroys them
    await peer.answer();
    await closed;
  },

  child(endpoint, { count, finish }) {
    if (count === 0) {
      for (const socket of held.splice(0)) socket.destroy();
      setImmediate(finish);
    }
    return (message, socket) => {
      if (message !== held.length || !socket) throw new Error(`socket ${message} is not there`);
      if (held.push(socket) < count) return;
      endpoint.send('all');
      finish();
    };
  },
};

const held = [];

/** The classic: accept here, answer there. */
const handOver = (children, target) => ({
  name: `accept-pass-answer-${children}`,
  title: `accept, pass, answer, ${children} ${children === 1 ? 'child' : 'children'}`,
  unit: 'connection',
  group: 'sockets',
  measures: [{ what: 'cpu', target }],
  clients: 'greeting',
  children,
  count: 200 * children,
  multiple: children,
  setUp,
  tearDown,

  async parent(context, count) {
    const { peers, clients, port } = context;
    let next = 0;
    context.onConnection = (socket) => peers[next++ % children].send('answer', socket);
    await clients.ask({ port, count, concurrency: 32 });
  },

  child(_endpoint, { count, finish }) {
    let closed = 0;
    return (_message, socket) => {
      socket.on('close', () => {
        if (++closed === count) finish();
      });
      socket.end('hello');
    };
  },
});

module.exports = [burst, handOver(1, 1.6), handOver(2), handOver(4)];
