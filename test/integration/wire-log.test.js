'use strict';

const assert = require('node:assert/strict');
const { run, runFunction, functionArgs } = require('../helpers/run');
const { isStock } = require('../helpers/subject');

function conversation() {
  const { forkFixture } = require('../helpers/fork-fixture');
  const net = require('node:net');
  const child = forkFixture('log-child.js');
  const server = net.createServer((socket) => child.send('socket', socket));
  server.listen(0, () => net.connect(server.address().port).resume());
  child.on('message', (message) => {
    console.log(message);
    child.disconnect();
    server.close();
  });
}

/** The log of a conversation, as { pid: [{ direction, peer, kind, size, rest }] }, and all else in stderr. */
async function logOf(NODE_DEBUG) {
  const env = { ...process.env, NODE_DEBUG };
  const result = await run(process.execPath, functionArgs(conversation), { env });
  const frames = new Map();
  const others = [];
  for (const line of result.stderr.split('\n').filter(Boolean)) {
    const match =
      /^FORKWIRE (\d+): \d\d:\d\d:\d\d\.\d{3} (<-|->) (\w+) fd \d+ (\w+) +(\d+) bytes(.*)$/.exec(
        line,
      );
    if (!match) {
      others.push(line);
      continue;
    }
    const [, pid, direction, peer, kind, size, rest] = match;
    if (!frames.has(pid)) frames.set(pid, []);
    frames.get(pid).push({ direction, peer, kind, size: Number(size), rest: rest.trim() });
  }
  return { ...result, frames, others };
}

(isStock ? describe.skip : describe)('NODE_DEBUG=forkwire', () => {
  it("says why a channel is on stock Node's wire, and prints one line a message there", async () => {
    const env = { ...process.env, NODE_DEBUG: 'forkwire' };
    const { stderr, code } = await runFunction({ env }, () => {
      const { forkFixture } = require('../helpers/fork-fixture');
      const net = require('node:net');
      const child = forkFixture('log-child.js', [], { channel: 'node' });
      const server = net.createServer((socket) => child.send('socket', socket));
      server.listen(0, () => net.connect(server.address().port).resume());
      child.on('message', () => {
        child.disconnect();
        server.close();
      });
    });
    assert.equal(code, 0);
    const lines = stderr.split('\n').filter((line) => line.startsWith('FORKWIRE'));
    const shown = lines.map((line) =>
      line.replace(/^.*(<-|->) child fd \d+ (\w+) .*bytes/, '$1 $2'),
    );
    assert.match(
      shown[0],
      /^FORKWIRE \d+: child fd \d+ on stock Node's wire: options\.channel asks/,
    );
    assert.deepEqual(shown.slice(1, 4), ['-> MESSAGE handle', '<- ACK', '<- MESSAGE']);
  });

  it('prints one line a frame in both processes: time, pid, direction, kind, size, handle', async () => {
    const { frames, others, stdout, pid, code } = await logOf('forkwire');
    assert.equal(code, 0);
    assert.equal(stdout, 'taken\n');
    assert.deepEqual(others, []);
    assert.equal(frames.size, 2);
    const parent = frames.get(String(pid));
    const [child] = [...frames].filter(([key]) => key !== String(pid)).map(([, lines]) => lines);
    const shown = (lines, direction) =>
      lines
        .filter((line) => line.direction === direction)
        .map(({ kind, size }) => `${kind} ${size}`);
    // What one end wrote is what the other read; behind END the reader may have left.
    const upToEnd = (list) => list.slice(0, list.indexOf('END 0') + 1);
    assert.deepEqual(upToEnd(shown(parent, '->')), upToEnd(shown(child, '<-')));
    assert.deepEqual(upToEnd(shown(child, '->')), upToEnd(shown(parent, '<-')));
    assert.ok(parent.every(({ peer }) => peer === 'child'));
    assert.ok(child.every(({ peer }) => peer === 'parent'));
    assert.equal(parent.filter(({ kind }) => kind === 'HELLO').length, 2);
    const sent = parent.find(({ kind }) => kind === 'USER');
    assert.match(sent.rest, /^handle 1 \w+/);
    assert.ok(parent.some(({ kind, direction }) => kind === 'TAKEN' && direction === '<-'));
    assert.ok(parent.some(({ kind, direction }) => kind === 'END' && direction === '->'));
  });

  it('is one of several names, and others print nothing', async () => {
    const { frames } = await logOf('other,forkwire');
    assert.equal(frames.size, 2);
    const silent = await logOf('fork,wire');
    assert.equal(silent.frames.size, 0);
    assert.equal(silent.stderr, '');
  });
});
