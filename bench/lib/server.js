'use strict';

// A server in the driver whose connections go to the children.

const net = require('node:net');
const { once } = require('node:events');

/** Listens on a free port; `context.onConnection` gets what it accepts. */
async function setUp(context) {
  const options = { pauseOnConnect: true };
  context.server = net.createServer(options, (socket) => context.onConnection(socket));
  context.server.listen({ port: 0, host: '127.0.0.1', backlog: 8192 });
  await once(context.server, 'listening');
  context.port = context.server.address().port;
}

function tearDown({ server }) {
  server.close();
}

module.exports = { setUp, tearDown };
