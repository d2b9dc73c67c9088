'use strict';

// latency: 'low': both ends wait for answers without sleeping, and what is sent meanwhile goes through memory. Nobody must be able
// to tell but by the time it takes.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { forkRawPeer } = require('../fixtures/protocol-peer');
const { exited, messagesOf, nextMessage } = require('../helpers/events');
const { fixture, forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { PATIENCE_MS } = require('../helpers/patience');
const { some } = require('../helpers/scale');
const { itIsBetter, itWith } = require('../helpers/subject');
const { until } = require('../helpers/until');

const low = { latency: 'low' };

/** How many slots that process has mapped: its own, and its peer's. */
function slotsOf(pid) {
  const maps = fs.readFileSync(`/proc/${pid}/maps`, 'utf8');
  return maps.split('\n').filter((line) => {
    const [first, last] = line
      .split(' ')[0]
      .split('-')
      .map((address) => Number.parseInt(address, 16));
    return line.includes('/memfd:forkwire') && last - first === 8192;
  }).length;
}

/** Asks and waits for the answer, `count` times. */
async function converse(child, count) {
  for (let i = 0; i < count; i++) {
    const answer = nextMessage(child);
    child.send(i);
    assert.equal(await answer, i);
  }
}

describe("fork() with latency: 'low'", () => {
  itIsBetter('answers in turn, and uses no processor when nobody asks', async () => {
    const child = forkFixture('echo.js', [], low);
    await converse(child, 2000);
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 100_000, `${user + system} us in 300 ms`);
    child.disconnect();
    await exited(child);
  });

  it('carries many messages at a time in both directions', async () => {
    const child = forkFixture('echo.js', [], low);
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

  itWith(['slots', 'spinning'])(
    'maps a slot for each direction, and leaves none behind',
    async () => {
      const child = forkFixture('echo.js', [], low);
      await converse(child, 20);
      for (const pid of [child.pid, process.pid]) assert.equal(slotsOf(pid), 2);
      const memory = fs
        .readdirSync(`/proc/${child.pid}/fd`)
        .filter((fd) => fs.readlinkSync(`/proc/${child.pid}/fd/${fd}`).includes('memfd'));
      assert.deepEqual(memory, []);
      child.disconnect();
      await exited(child);
      await until(() => slotsOf(process.pid) === 0);
    },
  );

  it('has none of it in a child that did not ask for it', async () => {
    const child = forkFixture('echo.js');
    await converse(child, 20);
    assert.equal(slotsOf(child.pid), 0);
    child.disconnect();
    await exited(child);
  });

  itIsBetter('maps nothing of a peer that is not trusted', async () => {
    const child = forkFixture('echo.js', [], { ...low, untrusted: true });
    await converse(child, 20);
    assert.equal(slotsOf(process.pid), 0);
    child.disconnect();
    await exited(child);
  });

  it('keeps the order of short and long questions, of several, and of those with a handle', async () => {
    const child = forkFunction(low, () => {
      process.on('message', ({ id, text, answers }, handle) => {
        handle?.destroy();
        for (let i = 0; i < answers; i++) process.send({ id, i, text });
      });
    });
    const server = net.createServer({ pauseOnConnect: true }).listen(0);
    await once(server, 'listening');
    for (let id = 0; id < 1500; id++) {
      // The slot has room for 8128 bytes.
      const text = 'x'.repeat([0, 10, 4000, 8050, 8128, 8200, 40_000][id % 7]);
      const answers = (id % 5) + 1;
      const got = messagesOf(child, answers);
      if (id % 50 !== 49) {
        child.send({ id, text, answers });
      } else {
        const client = net.connect(server.address().port).on('error', () => {});
        const [socket] = await once(server, 'connection');
        child.send({ id, text, answers }, socket);
        client.on('close', () => {}).resume();
      }
      assert.deepEqual(
        await got,
        Array.from({ length: answers }, (_, i) => ({ id, i, text })),
      );
    }
    server.close();
    child.disconnect();
    await exited(child);
  });

  const ends = ['process.exit()', "process.kill(process.pid, 'SIGKILL')", 'process.abort()'];
  for (const end of some(ends, 0, 1)) {
    itIsBetter(`loses no answer of a child that ends behind it with ${end}`, async () => {
      for (let round = 0; round < 5; round++) {
        const last = 30 + round;
        const child = forkFunction({ ...low, with: [last, end], silent: true }, (number, code) => {
          process.on('message', (message) => {
            process.send(message);
            if (message === number) require('node:vm').runInThisContext(code);
          });
        });
        const events = [];
        for (const name of ['message', 'disconnect'])
          child.on(name, (value) => events.push(value ?? name));
        await converse(child, last);
        child.send(last);
        await once(child, 'close');
        assert.deepEqual(events.slice(-2), [last, 'disconnect']);
      }
    });
  }

  it('delivers what a parent sends in the turn in which it disconnects', async () => {
    for (let round = 0; round < 5; round++) {
      const child = forkFunction(low, () => {
        process.on('message', (message) => {
          if (message === 'last') process.exitCode = 7;
          else process.send(message);
        });
      });
      await converse(child, 30 + round);
      const answer = nextMessage(child);
      child.send('question');
      child.once('message', () => {
        child.send('last');
        child.disconnect();
      });
      await answer;
      const [code] = await once(child, 'exit');
      assert.equal(code, 7);
    }
  });

  it('lets timers and other handles of both ends have their turn meanwhile', async () => {
    const child = forkFunction(low, () => {
      let ticks = 0;
      setInterval(() => ticks++, 5).unref();
      process.on('message', () => process.send(ticks));
    });
    const ask = () => {
      child.send('how many?');
      return nextMessage(child);
    };
    const first = await ask(); // the child is up
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const end = performance.now() + PATIENCE_MS;
    let theirs = 0;
    while (performance.now() < end && (ticks <= 20 || theirs <= 20)) theirs = (await ask()) - first;
    clearInterval(timer);
    assert.ok(ticks > 20 && theirs > 20, `${ticks} and ${theirs}`);
    child.disconnect();
    await exited(child);
  });

  for (const nonsense of ['state', 'size', 'nothing']) {
    itWith(['slots', 'spinning'])(
      `ends the channel of a peer that writes nonsense into the slot: ${nonsense}`,
      async () => {
        const script = fixture('slot_peer.py');
        const { child, peer } = forkRawPeer({ script, args: [nonsense], ...low });
        child.on('message', (message) => child.send(message));
        const [error] = await once(child, 'error');
        assert.equal(error.code, 'ERR_FORKWIRE_PROTOCOL');
        assert.match(error.message, /^The peer broke the protocol: SLOT frame at byte \d+: slot$/);
        await peer.sees('eof');
        await peer.leave();
        assert.equal(slotsOf(process.pid), 0);
      },
    );
  }
});
