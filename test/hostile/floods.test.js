'use strict';

// What a peer leaves unread when it dies, or when this process exits, and what a process that holds its end goes on with: the
// event loop of the other end has its turns meanwhile, and its memory stays what it was.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const { fixture, forkFunction } = require('../helpers/fork-fixture');
const { runFunction } = require('../helpers/run');
const { until } = require('../helpers/until');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { fork } = require('../..');

const FLOODING_PEER = fixture('flooding_peer.py');
const OPTIONS = { execPath: python(), execArgv: QUICK, channel: 'native' };

/** Forks the peer in a process of its own and runs `body` there; gives what it prints, parsed. */
async function attacked(what, body) {
  const given = [FLOODING_PEER, what, OPTIONS];
  const { code, stdout, stderr } = await runFunction({ with: given }, body);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

describe('what a dead child left unread', () => {
  for (const what of ['counts', 'messages']) {
    it(`costs neither the loop nor memory, and comes in order: ${what}`, async () => {
      const seen = await attacked(what, (peer, kind, options) => {
        const fs = require('node:fs');
        const { fork } = require('../..');
        const child = fork(peer, ['child', kind, 'die'], options);
        const seen = { longest: 0, events: [], messages: 0, late: 0 };
        const pause = new Int32Array(new SharedArrayBuffer(4));
        const stat = () => fs.readFileSync(`/proc/${child.pid}/stat`, 'latin1');
        while (!stat().includes(') Z ')) Atomics.wait(pause, 0, 0, 5);
        const before = process.resourceUsage().maxRSS;
        // Of the processor, so that other processes do not count.
        const used = () => {
          const { user, system } = process.cpuUsage();
          return (user + system) / 1000;
        };
        let last = used();
        const watch = () => {
          const now = used();
          seen.longest = Math.max(seen.longest, now - last);
          last = now;
          if (!seen.events.includes('close')) setImmediate(watch);
        };
        watch();
        child.on('message', () => {
          seen.messages++;
          if (seen.events.length > 0) seen.late++;
        });
        for (const event of ['disconnect', 'exit', 'close']) {
          child.on(event, () => seen.events.push(event));
        }
        child.on('close', () => {
          seen.grownBy = (process.resourceUsage().maxRSS - before) / 1024;
          process.stdout.write(JSON.stringify(seen));
        });
      });
      assert.deepEqual(seen.events, ['disconnect', 'exit', 'close']);
      assert.equal(seen.late, 0);
      assert.equal(seen.messages > 0, what === 'messages');
      assert.ok(seen.longest < 400, `a turn of the loop took ${seen.longest} ms`);
      assert.ok(seen.grownBy < 80, `it grew by ${seen.grownBy} MB`);
    });
  }
});

describe('a child that lives and sends without a pause', () => {
  it('has no turn of the loop deliver all that fits into one read', async () => {
    const MOST = 1000; // three budgets, and what a read brings beyond; 64 KiB would be 3855 messages
    const child = forkFunction({ channel: 'native' }, () => {
      process.once('message', () => {
        for (let i = 0; i < 30_000; i++) process.send(1);
        process.send('end', () => process.disconnect());
      });
      process.send('up');
    });
    let count = 0;
    let most = 0;
    child.once('message', () => {
      child.send('go');
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)); // much is unread
      child.on('message', () => {
        if (count++ > 0) return;
        setImmediate(() => {
          most = Math.max(most, count);
          count = 0;
        });
      });
    });
    await once(child, 'exit');
    assert.ok(most > 0 && most <= MOST, `${most} in one turn`);
  });
});

describe('a process that exits', () => {
  it('takes no memory for the COUNTS that it reads meanwhile', async () => {
    const seen = await attacked('counts', (peer, kind, options) => {
      const net = require('node:net');
      const { fork } = require('../..');
      const stdio = ['ignore', 'pipe', 'inherit', 'ipc'];
      const child = fork(peer, ['child', kind, 'stay'], { ...options, stdio });
      const pause = new Int32Array(new SharedArrayBuffer(4));
      const server = net.createServer((socket) => {
        child.send('x', socket); // never lands
        Atomics.wait(pause, 0, 0, 500);
        const before = process.resourceUsage().maxRSS;
        process.on('exit', () => {
          const grownBy = (process.resourceUsage().maxRSS - before) / 1024;
          require('node:fs').writeSync(1, JSON.stringify({ grownBy }));
        });
        process.exit();
      });
      server.listen(0, '127.0.0.1', () => net.connect(server.address().port, '127.0.0.1'));
    });
    assert.ok(seen.grownBy < 30, `it grew by ${seen.grownBy} MB`);
  });
});

describe('a process that holds the channel of a dead child', () => {
  const fdsOf = () => fs.readdirSync('/proc/self/fd').length;

  for (const isTold of [false, true]) {
    const when = isTold ? 'that was disconnected before' : 'that was connected';
    it(`floods nobody, ${when}`, async () => {
      const before = fdsOf();
      const stdio = ['pipe', 'inherit', 'inherit', 'ipc'];
      const child = fork(FLOODING_PEER, ['child', 'counts', 'haunt'], { ...OPTIONS, stdio });
      await once(child, 'message');
      if (isTold) {
        child.disconnect();
        await once(child, 'disconnect');
      }
      child.stdin.end();
      await once(child, 'close');
      await until(() => fdsOf() <= before, 'the channel is closed');
    });
  }
});
