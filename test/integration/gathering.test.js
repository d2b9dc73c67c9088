'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { itIsBetter } = require('../helpers/subject');

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
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const deadline = Date.now() + 20_000;
    // The loop never turns here: nothing but the write itself can bring them across.
    for (let i = 0; i < 5; i++) {
      child.send(i);
      while (fs.readFileSync(file, 'utf8') !== String(i)) {
        assert.ok(Date.now() < deadline, `message ${i} did not leave`);
        Atomics.wait(pause, 0, 0, 5);
      }
    }
    fs.rmSync(folder, { recursive: true });
    child.disconnect();
    return exited(child);
  });
});

describe("fork() with latency: 'low'", () => {
  itIsBetter('answers in turn, and uses no processor when nobody asks', async () => {
    const child = forkFixture('echo.js', [], { latency: 'low' });
    for (let i = 0; i < 2000; i++) {
      const answer = nextMessage(child);
      child.send(i);
      assert.equal(await answer, i);
    }
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 100_000, `${user + system} us in 300 ms`);
    child.disconnect();
    await exited(child);
  });

  it('carries many messages at a time in both directions', async () => {
    const child = forkFixture('echo.js', [], { latency: 'low' });
    const answers = messagesOf(child, 5000);
    for (let i = 0; i < 5000; i++) child.send(i);
    assert.deepEqual(
      await answers,
      Array.from({ length: 5000 }, (_, i) => i),
    );
    child.disconnect();
    await exited(child);
  });

  itIsBetter('refuses any other value', () => {
    for (const latency of ['high', '', 1, null]) {
      assert.throws(() => forkFixture('echo.js', [], { latency }), {
        code: 'ERR_INVALID_ARG_VALUE',
      });
    }
  });
});
