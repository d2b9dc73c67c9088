'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { channelPair } = require('../helpers/channel-pair');
const { until } = require('../helpers/until');

// On a real channel in this process; more of it is in the tests of sockets in test/integration.

async function connection() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect(server.address().port, '127.0.0.1');
  const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  server.close();
  return { client, socket };
}

describe('a handle that arrives', () => {
  let left;
  let right;

  beforeEach(() => {
    [left, right] = channelPair().map(({ target }) => target);
  });

  afterEach(async () => {
    left.disconnect();
    await once(right, 'disconnect');
  });

  it('is a socket when its message is delivered, and not before', async () => {
    const { client, socket } = await connection();
    client.write('waits in the kernel');
    left.send('x', socket);
    await new Promise(setImmediate);
    assert.equal(socket.readableLength, 0);
    const [, received] = await once(right, 'message');
    assert.ok(received instanceof net.Socket);
    assert.equal(String((await once(received, 'data'))[0]), 'waits in the kernel');
    received.destroy();
    await once(client, 'close');
  });

  it('is refused when it comes with an internal message and nobody listens; it returns', async () => {
    const { client, socket } = await connection();
    const returned = once(left, 'undelivered');
    left.send({ cmd: 'NODE_X' }, socket);
    const [message, back] = await returned;
    assert.deepEqual(message, { cmd: 'NODE_X' });
    back.end('back');
    assert.equal(String((await once(client, 'data'))[0]), 'back');
    client.destroy();
    await once(back, 'close');
  });

  it('is held back from writing until its sender is through', async () => {
    const { client, socket } = await connection();
    client.pause();
    let size = 0;
    do size += 65_536;
    while (socket.write('x'.repeat(65_536)));
    left.send('x', socket);
    const [, received] = await once(right, 'message');
    received.end('the end');
    let text = '';
    client.on('data', (chunk) => {
      text += chunk;
    });
    client.resume();
    await until(() => text.endsWith('the end'));
    assert.equal(text.length, size + 'the end'.length);
    await until(() => received.closed);
  });
});
