'use strict';

const assert = require('node:assert/strict');
const { close, connect, connectionsOf, listen, textOf } = require('../fixtures/socket-clients');
const { descriptorsOf } = require('../helpers/descriptors');
const { exited, nextMessage } = require('../helpers/events');
const { forkFunction, keepsDescriptors } = require('../helpers/fork-fixture');
const { until } = require('../helpers/until');

async function leave(child) {
  child.disconnect();
  assert.deepEqual(await exited(child), { code: 0, signal: null });
}

describe('a burst of 5000 accepted sockets', () => {
  it('arrives in one child, is answered, and leaves no descriptor in either process', async () => {
    const COUNT = 5000;
    const child = forkFunction(() => {
      process.on('message', (message, socket) => {
        socket.end(`${message}`);
      });
    });
    // Clients live in a process of their own: both ends of all would be many descriptors for one.
    const crowd = forkFunction(() => {
      const net = require('node:net');
      process.on('message', ({ port, count }) => {
        const answers = [];
        let left = count;
        let connecting = 0;
        const start = () => {
          for (; connecting < 500 && left > 0; connecting++, left--) open();
        };
        function open() {
          let text = '';
          const client = net.connect(port, '127.0.0.1', () => {
            connecting--;
            start();
          });
          client.on('data', (data) => {
            text += data;
          });
          client.on('close', () => {
            answers.push(Number(text));
            if (answers.length === count) process.send(answers);
          });
        }
        start();
      });
    });
    const sockets = [];
    const server = await listen({ backlog: 511 }, (socket) => sockets.push(socket));
    const client = await connect(server);
    await until(() => sockets.length === 1);
    child.send('up', sockets.pop()); // the first stream of a process opens a descriptor that stays
    assert.equal(await textOf(client), 'up');
    crowd.send({ port: server.address().port, count: COUNT });
    await until(() => sockets.length === COUNT, `${COUNT} clients`);
    const before = descriptorsOf().size;
    await keepsDescriptors(child, async () => {
      for (const [i, socket] of sockets.entries()) child.send(i, socket);
      const answers = await nextMessage(crowd);
      assert.deepEqual(
        answers.toSorted((a, b) => a - b),
        Array.from({ length: COUNT }, (_, i) => i),
      );
    });
    await until(() => descriptorsOf().size === before - COUNT);
    await until(async () => (await connectionsOf(server)) === 0);
    await close(server);
    await leave(child);
    await leave(crowd);
  });
});
