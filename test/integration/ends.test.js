'use strict';

// Ends of channels and of processes while handles are on their way, are written to, or are not usable yet.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const { forkRawPeer } = require('../fixtures/protocol-peer');
const {
  bytesOf,
  close,
  connectedPair,
  connectionsOf,
  listen,
  textOf,
} = require('../fixtures/socket-clients');
const { descriptorsOf } = require('../helpers/descriptors');
const { exited, nextMessage, record } = require('../helpers/events');
const { fixture, forkFunction } = require('../helpers/fork-fixture');
const { functionArgs } = require('../helpers/run');
const { resume, stop } = require('../helpers/stopped');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const PENDING = 8 << 20; // bytes: more than the kernel takes for one connection

async function started(...args) {
  const child = forkFunction(...args);
  await nextMessage(child);
  return child;
}

/** A connection with unsent writes, whose client does not read. */
async function writingPair(server) {
  const [socket, client] = await connectedPair(server);
  client.pause();
  socket.write(Buffer.alloc(PENDING, 'x'));
  assert.ok(socket.writableLength > 0);
  return [socket, client];
}

async function assertAllThen(client, tail) {
  const got = await bytesOf(client);
  assert.equal(got.length, PENDING + tail.length);
  assert.equal(got.subarray(0, PENDING).lastIndexOf('x'), PENDING - 1);
  assert.equal(String(got.subarray(PENDING)), tail);
}

function tail() {
  process.on('message', (message, socket) => {
    if (socket) socket.end('tail');
    else process.send(message);
  });
  process.send('up');
}

describe('disconnect()', () => {
  /** Says at the end what it got; disconnects at 'leave'. */
  const startNoting = () =>
    started({ stdio: ['ignore', 'pipe', 'inherit', 'ipc'] }, () => {
      const seen = [];
      process.on('message', (message, server) => {
        seen.push([message, server?.listening ?? null]);
        server?.close();
        if (message === 'leave') process.disconnect();
      });
      process.on('disconnect', () => console.log(JSON.stringify(seen)));
      process.send('up');
    });

  itIsBetter('comes behind a server that is still to be usable', async () => {
    const child = await startNoting();
    const server = await listen();
    child.send('server', server);
    child.send('behind');
    child.disconnect();
    assert.deepEqual(JSON.parse(await textOf(child.stdout)), [
      ['server', true],
      ['behind', null],
    ]);
    await exited(child);
    await close(server);
  });

  itIsBetter('in a listener comes behind a server that was read with its message', async () => {
    const child = await startNoting();
    const server = await listen();
    stop(child);
    child.send('leave');
    child.send('server', server);
    await new Promise(setImmediate); // both have left
    resume(child);
    assert.deepEqual(JSON.parse(await textOf(child.stdout)), [
      ['leave', null],
      ['server', true],
    ]);
    await exited(child);
    await close(server);
  });

  itIsBetter('is reported at once though unsent writes of a socket linger', async () => {
    const child = await started(tail);
    const server = await listen();
    const [socket, client] = await writingPair(server);
    child.send('x', socket);
    await until(async () => (await nextOf(child, 'still here?')) === 'still here?');
    child.disconnect();
    await once(child, 'disconnect'); // the client has read nothing yet, and does only now
    await assertAllThen(client, 'tail');
    await exited(child);
    await close(server);
  });
});

/** What the child answers to a message. */
async function nextOf(child, message) {
  const answer = nextMessage(child);
  child.send(message);
  return answer;
}

describe('a client that reads nothing of what its sender still writes', () => {
  itIsBetter('stalls neither the channel nor the other connections', async () => {
    const child = await started(tail);
    const server = await listen();
    const [socket, client] = await writingPair(server);
    child.send('x', socket);
    for (let i = 0; i < 50; i++) {
      assert.equal(await nextOf(child, i), i);
      const [other, quick] = await connectedPair(server);
      child.send('y', other);
      assert.equal(await textOf(quick), 'tail');
    }
    await until(async () => (await connectionsOf(server)) === 1);
    await assertAllThen(client, 'tail');
    await until(async () => (await connectionsOf(server)) === 0);
    await close(server);
    child.disconnect();
    await exited(child);
  });

  itIsBetter(
    'gets all of it, and then what a grandchild writes to whom it was handed on',
    async () => {
      const child = await started(() => {
        const { fork } = require('../helpers/subject');
        if (process.env.IS_GRANDCHILD) {
          process.on('message', (_, socket) => socket.end('grandchild'));
          return;
        }
        const env = { ...process.env, IS_GRANDCHILD: '1' };
        const grandchild = fork(process.argv[1], process.argv.slice(2), { env });
        process.on('message', (message, socket) => {
          if (socket) grandchild.send(message, socket, () => process.send('handed on'));
        });
        process.on('disconnect', () => grandchild.disconnect());
        process.send('up');
      });
      const server = await listen();
      const [socket, client] = await writingPair(server);
      const isHandedOn = nextMessage(child);
      child.send('x', socket);
      await isHandedOn;
      await assertAllThen(client, 'grandchild');
      await until(async () => (await connectionsOf(server)) === 0);
      await close(server);
      child.disconnect();
      await exited(child);
    },
  );
});

describe('a child that exits', () => {
  itIsBetter('right after it sent sockets: they are its parent’s', async () => {
    const child = forkFunction(() => {
      const server = require('node:net').createServer();
      let count = 0;
      server.on('connection', (socket) => {
        process.send('x', socket);
        if (++count === 20) process.exit(0);
      });
      server.listen(0, '127.0.0.1', () => process.send(server.address().port));
    });
    const port = await nextMessage(child);
    child.on('message', (_, socket) => socket.end('by the parent'));
    const texts = [];
    for (let i = 0; i < 20; i++) texts.push(textOf(net.connect(port, '127.0.0.1')));
    assert.deepEqual(new Set(await Promise.all(texts)), new Set(['by the parent']));
    assert.deepEqual(await exited(child), { code: 0, signal: null });
  });
});

describe('a copy of the channel in a process that lives on', () => {
  itIsBetter('hides the death of the child neither from events nor from handles', async () => {
    const child = forkFunction(() => {
      const { spawn } = require('node:child_process');
      const stdio = ['ignore', 'ignore', 'ignore', process.channel.fd];
      const holder = spawn('sleep', ['60'], { stdio });
      process.on('message', () => {});
      process.send(holder.pid);
    });
    const holder = await nextMessage(child);
    const events = record(child, ['undelivered', 'disconnect', 'exit', 'close']);
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    child.on('undelivered', (_, returned) => returned.end('back'));
    stop(child);
    child.send('x', socket);
    child.kill('SIGKILL');
    assert.equal(await textOf(client), 'back');
    await until(() => events.includes('close'));
    assert.deepEqual(events, ['undelivered', 'disconnect', 'exit', 'close']);
    process.kill(holder);
    await close(server);
  });
});

describe('a peer that breaks the protocol', () => {
  it('keeps nothing that landed here open', async () => {
    const { child, peer } = forkRawPeer();
    child.on('error', () => {});
    await once(child, 'spawn');
    peer.tell('pair', { thing: 'mine' });
    const before = descriptorsOf().size;
    for (let i = 0; i < 3; i++) peer.tell('message', { value: i, thing: 'mine', kind: 2, type: 1 });
    await until(() => descriptorsOf().size === before + 3);
    peer.tell('bytes', { hex: 'ff'.repeat(16) });
    await new Promise((resolve) => child.on('disconnect', resolve)); // once() would hear the error as well
    await until(() => descriptorsOf().size === before - 1, 'all closed, and the channel');
    await peer.leave();
  });
});

describe('a peer that refuses a handle because it ends, and does not end', () => {
  it('can be disconnected from', async () => {
    const { child, peer } = forkRawPeer();
    const errors = [];
    child.on('error', (error) => errors.push(error));
    const server = await listen();
    const [socket, client] = await connectedPair(server);
    child.send('x', socket);
    await peer.sees('USER');
    peer.tell('landed', { id: 1 });
    peer.tell('refused', { id: 1, reason: 5 });
    await until(() => !child.connected);
    assert.equal(await textOf(client), '');
    const disconnected = once(child, 'disconnect');
    child.disconnect();
    assert.equal(child.channel, null);
    await disconnected;
    await peer.sees('END');
    assert.deepEqual(errors, []);
    await peer.leave();
    await close(server);
  });
});

describe('a message whose handle was lost with its sender', () => {
  itIsBetter('is dropped with a warning, and those behind it are delivered', async () => {
    const script = (fixture) => {
      const { execFileSync } = require('node:child_process');
      const net = require('node:net');
      const { fork } = require('../helpers/subject');
      const child = fork(fixture);
      child.once('message', (open) => {
        execFileSync('prlimit', ['--pid', String(child.pid), `--nofile=${open}:`]);
        const server = net.createServer((socket) => {
          child.send('first');
          child.send('lost', socket);
          child.send('behind', () => process.kill(process.pid, 'SIGKILL'));
        });
        server.listen(0, '127.0.0.1', () => net.connect(server.address().port, '127.0.0.1'));
      });
    };
    const args = functionArgs(script, [fixture('short-of-descriptors.js')]);
    const options = { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env } };
    options.env.NODE_NO_WARNINGS = '1'; // not printed; the event comes
    const parent = spawn(process.execPath, args, options);
    const lines = (await textOf(parent.stdout)).trim().split('\n');
    assert.deepEqual(lines.toSorted(), ['behind', 'first', 'warning ERR_FORKWIRE_HANDLE_LOST']);
  });
});
