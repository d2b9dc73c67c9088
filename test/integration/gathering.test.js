'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { exited, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { blockUntil } = require('../helpers/stopped');

// Small messages of a turn travel together; nobody must be able to tell but by the time it takes.

describe('messages that are sent in a row', () => {
  it('keep their order among strings, numbers, large ones, internal ones and handles', async () => {
    const child = forkFunction(() => {
      const seen = [];
      process.on('internalMessage', ({ cmd }) => seen.push(cmd));
      process.on('message', (message, handle) => {
        seen.push(typeof message === 'string' && message.length > 100 ? message.length : message);
        handle?.destroy();
        if (message === 'last') process.send(seen, () => process.disconnect());
      });
    });
    const server = net.createServer().listen(0);
    await once(server, 'listening');
    const client = net.connect(server.address().port).on('error', () => {});
    const [socket] = await once(server, 'connection');
    const messages = [1, 'a', { b: 2 }, 'ü\n"', null, true, [3], '日', 1e300, '\ud800'];
    for (const message of messages) child.send(message);
    child.send('x'.repeat(5000));
    child.send({ cmd: 'NODE_TEST' });
    for (const message of messages) child.send(message);
    child.send('socket', socket);
    for (const message of messages) child.send(message);
    child.send('last');
    const seen = await nextMessage(child);
    const expected = [...messages, 5000, 'NODE_TEST', ...messages, 'socket', ...messages, 'last'];
    assert.deepEqual(seen, expected);
    client.destroy();
    server.close();
    await exited(child);
  });

  it('leave at once where the sender stays busy between them', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
    const file = path.join(folder, 'seen');
    fs.writeFileSync(file, '');
    const child = forkFunction({ with: [file] }, (name) => {
      const { writeFileSync } = require('node:fs');
      process.on('message', (message) => writeFileSync(name, String(message)));
    });
    // The loop never turns here: nothing but the write itself can bring them across.
    for (let i = 0; i < 5; i++) {
      child.send(i);
      blockUntil(() => fs.readFileSync(file, 'utf8') === String(i));
    }
    fs.rmSync(folder, { recursive: true });
    child.disconnect();
    return exited(child);
  });
});

describe('messages that are sent turn by turn', () => {
  /** Sends `count` of them, each in a turn of its own, then runs `last` in the turn of the last one. */
  function stream(child, count, last) {
    return new Promise((resolve) => {
      let sent = 0;
      const turn = () => {
        child.send(++sent);
        if (sent < count) {
          setImmediate(turn);
          return;
        }
        last();
        resolve();
      };
      setImmediate(turn);
    });
  }

  /** Answers the last of each stream. */
  function answerLast(count) {
    process.on('message', (number) => number === count && process.send('all'));
  }

  it('do not wait longer when the loop goes to sleep behind the last one', async () => {
    const COUNT = 300;
    const child = forkFunction({ with: [COUNT] }, answerLast);
    await once(child, 'spawn');
    const server = net.createServer({ pauseOnConnect: true }).listen(0);
    await once(server, 'listening');
    const client = net.connect(server.address().port);
    const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
    // Reading is started in the last turn: until the loop has seen that, it looks as if it would not sleep.
    for (let i = 0; i < 20; i++) {
      client._handle.readStop();
      const answered = nextMessage(child);
      await stream(child, COUNT, () => client._handle.readStart());
      await answered; // nothing else wakes this process
    }
    client.destroy();
    socket.destroy();
    server.close();
    child.disconnect();
    await exited(child);
  });
});
