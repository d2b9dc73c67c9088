'use strict';

// How a channel ends, and that nothing which an end of forkwire accepted is lost then.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { close, connectedPair, listen } = require('../../fixtures/socket-clients');
const { record } = require('../../helpers/events');
const { stop } = require('../../helpers/stopped');

const ENDS = ['disconnect', 'exit'];

/** Resolves with [exit code, names of the events]. */
async function endOf(child) {
  const events = record(child, ENDS);
  const [code] = await once(child, 'exit');
  if (child.connected) await once(child, 'disconnect');
  return [code, events];
}

const sorted = (events) => [...events].sort();

async function disconnect({ start }) {
  const first = await start();
  const end = endOf(first.child);
  first.child.send({ do: 'disconnect' });
  assert.deepEqual(await end, [0, ENDS]);

  const second = await start();
  assert.equal(await second.ask({ do: 'count' }), 'counting');
  const secondEnd = endOf(second.child);
  for (let i = 0; i < 20; i++) second.child.send(i);
  second.child.disconnect();
  assert.equal(second.child.connected, false);
  assert.deepEqual(await secondEnd, [20, ENDS]);
}

async function exit({ start, isForkwireParent }) {
  const { child } = await start();
  const end = endOf(child);
  child.send({ do: 'exit', code: 5 });
  const [code, events] = await end;
  assert.equal(code, 5);
  // Stock tells both as it happens to notice them.
  assert.deepEqual(isForkwireParent ? events : sorted(events), ENDS);
}

/** process.send(), then process.exit(): what was sent arrives. */
async function flush({ start }) {
  const { child } = await start();
  const got = [];
  child.on('message', (message) => got.push(message));
  const end = endOf(child);
  child.send({ do: 'flush' });
  assert.equal((await end)[0], 7);
  assert.deepEqual(
    got.slice(0, 100),
    got.slice(0, 100).map((_, i) => i),
  );
  assert.equal(got.length, 101);
  assert.equal(got[100].length, 300_000);
}

/** Killed with one handle on its way and ten behind it: all come back, in order, and then comes 'disconnect'. */
async function kill({ start }) {
  const { child } = await start();
  const server = await listen();
  const pairs = [];
  for (let i = 0; i < 11; i++) pairs.push(await connectedPair(server));
  const seen = [];
  child.on('undelivered', (message, socket) => {
    seen.push(message);
    socket.destroy();
  });
  child.on('disconnect', () => seen.push('disconnect'));
  stop(child);
  for (const [i, [socket]] of pairs.entries()) child.send(i, socket, () => {});
  const isOver = once(child, 'close');
  child.kill('SIGKILL');
  await isOver;
  assert.deepEqual(seen, [...pairs.map((_, i) => i), 'disconnect']);
  for (const [, client] of pairs) client.destroy();
  await close(server);
}

const disconnectScenario = { name: 'disconnect', run: disconnect };
const exitScenario = { name: 'exit', run: exit };
const flushScenario = {
  name: 'flush',
  unless: ({ isForkwireChild }) => (isForkwireChild ? null : 'stock loses what it did not write'),
  run: flush,
};
const killScenario = {
  name: 'killed with eleven handles',
  unless: ({ isForkwireParent }) => (isForkwireParent ? null : "stock has no 'undelivered'"),
  run: kill,
};

module.exports = [disconnectScenario, exitScenario, flushScenario, killScenario];
