'use strict';

// What each test of a runner does: the runner's own process has our channel, and a child that the test forks exchanges
// messages and a socket with it.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { text } = require('node:stream/consumers');

const CHILD = path.join(__dirname, 'child.js');

async function exchangeMessages() {
  const child = fork(CHILD, [], { execArgv: [] });
  assert.equal(child.channel.protocol, 'native');
  for (let i = 0; i < 20; i++) {
    child.send({ i });
    const [message] = await once(child, 'message');
    // Not deepEqual: in jest the test and the channel have different Objects.
    assert.equal(JSON.stringify(message), JSON.stringify({ i, protocol: 'native' }));
  }
  child.disconnect();
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
}

async function handOverSocket() {
  const child = fork(CHILD, [], { execArgv: [] });
  const server = net.createServer((socket) => child.send('socket', socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  assert.equal(await text(net.connect(server.address().port, '127.0.0.1')), 'from the child');
  server.close();
  await once(server, 'close');
  child.disconnect();
  await once(child, 'close');
}

module.exports = { exchangeMessages, handOverSocket };
