'use strict';

// server.getConnections() while children hold connections of the server.

const { once } = require('node:events');
const { setUp, tearDown } = require('../lib/server');

/** Every child holds one connection. */
async function handOut(context) {
  await setUp(context);
  const { peers, clients, port } = context;
  const accepted = [];
  const all = new Promise((resolve) => {
    context.onConnection = (socket) => {
      if (accepted.push(socket) === peers.length) resolve();
    };
  });
  await Promise.all([clients.ask({ port, count: peers.length }), all]);
  for (const [i, peer] of peers.entries()) {
    await peer.start(1, i);
    peer.send('hold', accepted[i]);
    await peer.answer();
  }
}

const held = [];

const ask = (children, target) => ({
  name: `get-connections-${children}`,
  title: `getConnections(), ${children} ${children === 1 ? 'child' : 'children'}`,
  unit: 'call',
  group: 'counts',
  measures: [{ what: 'rate', target }],
  clients: 'hold',
  children,
  count: 20,
  setUp: handOut,

  async parent({ server, peers }, count) {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      const connections = await new Promise((resolve, reject) => {
        server.getConnections((error, number) => (error ? reject(error) : resolve(number)));
      });
      if (connections !== children) throw new Error(`${connections} connections, not ${children}`);
    }
    const wall = performance.now() - start; // of the calls alone
    for (const peer of peers) peer.send('through');
    return { wall };
  },

  async tearDown(context) {
    const closed = once(context.clients, 'message');
    for (const peer of context.peers) {
      await peer.start(1, 0);
      peer.send('drop');
      await peer.answer();
    }
    await closed;
    tearDown(context);
  },

  child:
    (_endpoint, { finish }) =>
    (message, socket) => {
      if (message === 'hold') held.push(socket.resume());
      if (message === 'drop') for (const each of held) each.destroy();
      finish();
    },
});

module.exports = [ask(1, 20), ask(4), ask(16, 200)];
