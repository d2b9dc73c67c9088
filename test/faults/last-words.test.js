'use strict';

// What is sent right before its sender ends, in every way in which one can end: all of it arrives, or the sender ends
// within its limits and says what did not leave.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { fixture } = require('../helpers/fork-fixture');
const { isLong } = require('../helpers/scale');
const { until } = require('../helpers/until');
const { onEachWire } = require('../helpers/wires');

const KB = 1024;
const MB = 1024 * KB;

// On a busy machine the other end may not run for longer than the half second that is the default.
const PATIENT = { stall: 15_000, total: 30_000 };

const LOADS = {
  'one message': { count: 1, size: 0 },
  '1000 messages': { count: 1000, size: 0 },
  '300 KB': { count: 1, size: 300 * KB },
  '100000 messages': { count: 100_000, size: 0 },
  '50 MB': { count: 1, size: 50 * MB },
};
const LIGHT = ['1000 messages', '300 KB'];

const ENDS_OF_PROCESS = [
  'process.exit()',
  'the end of the script',
  'an uncaught exception',
  'SIGTERM',
  'process.abort()',
];

function stateOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop()[0];
  } catch {
    return 'gone';
  }
}

const isOver = (pid) => ['Z', 'gone'].includes(stateOf(pid));

/** Runs test/fixtures/last-words.js. The end of its output is the end of both processes. */
async function lastWords(given) {
  // An abort is not to leave a core file behind.
  const command = 'ulimit -c 0; exec "$0" "$@"';
  const args = ['-c', command, process.execPath, fixture('last-words.js'), JSON.stringify(given)];
  const program = spawn('sh', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  let isClosed = false;
  program.stdout.setEncoding('utf8').on('data', (chunk) => {
    output += chunk;
  });
  program.on('close', () => {
    isClosed = true;
  });
  const said = () => Object.assign({}, ...output.split('\n').filter(Boolean).map(JSON.parse));
  if (given.reader === 'stopped') await resumeWhenSenderIsThrough(given, said);
  await until(() => isClosed, 'both processes end');
  return said();
}

/** A sender that disconnects lives on: it is through when it knows what became of everything. */
async function resumeWhenSenderIsThrough({ sender, way }, said) {
  await until(() => said().pids !== undefined, 'the program starts');
  const [parent, child] = said().pids;
  const [writer, reader] = sender === 'parent' ? [parent, child] : [child, parent];
  const isThrough = way === 'disconnect()' ? () => said().sent !== undefined : () => isOver(writer);
  await until(isThrough, 'the sender is through');
  process.kill(reader, 'SIGCONT');
}

function sendersOn(channel) {
  return channel === 'node' ? ['parent'] : ['parent', 'child']; // there the child is stock Node
}

function eachCase(channel, ways, loads, readers, body) {
  for (const sender of sendersOn(channel)) {
    for (const way of ways) {
      for (const load of loads) {
        for (const reader of readers) body({ sender, way, load, reader });
      }
    }
  }
}

async function checkAllArrives(channel, { sender, way, load, reader }) {
  const options = { channel, exitFlush: PATIENT };
  const { got, inOrder, ends } = await lastWords({ ...LOADS[load], sender, way, reader, options });
  assert.deepEqual({ got, inOrder }, { got: LOADS[load].count, inOrder: true });
  const expected = sender === 'child' ? ['disconnect', 'exit', 'close'] : ['disconnect'];
  assert.deepEqual(ends, expected);
}

const ALL = Object.keys(LOADS);

onEachWire('what was sent right before the end of its process', (channel) => {
  const loads = isLong ? ALL : LIGHT;
  const readers = isLong ? ['fast', 'slow'] : ['fast'];
  eachCase(channel, ENDS_OF_PROCESS, loads, readers, (one) => {
    const { sender, way, load, reader } = one;
    it(`arrives: ${load} of the ${sender}, then ${way}; the reader is ${reader}`, async () => {
      await checkAllArrives(channel, one);
    });
  });

  // Whether all of 300 KB fits the buffer of a socket depends on the machine; what was taken arrives.
  const heavy = isLong ? ALL : ['one message', '1000 messages', '50 MB'];
  const ways = isLong ? ENDS_OF_PROCESS : ['process.exit()'];
  eachCase(channel, ways, heavy, ['stopped'], ({ sender, way, load, reader }) => {
    it(`ends within its limits: ${load} of the ${sender}, then ${way}; the reader is stopped`, async () => {
      const { count, size } = LOADS[load];
      const startedAt = performance.now();
      const given = { count, size, sender, way, reader, options: { channel } };
      const { got, inOrder } = await lastWords(given);
      const took = performance.now() - startedAt;
      assert.ok(inOrder);
      if (size === 0 && count <= 1000) assert.equal(got, count);
      assert.ok(got <= count);
      assert.ok(took < 50_000, `${took} ms`); // 0.5 s without progress, and what a busy machine adds
    });
  });
});

onEachWire('what was sent right before disconnect()', (channel) => {
  const loads = isLong ? ALL : ['one message', '1000 messages', '100000 messages', '50 MB'];
  const readers = isLong ? ['fast', 'slow'] : ['fast'];
  eachCase(channel, ['disconnect()'], loads, readers, (one) => {
    it(`arrives: ${one.load} of the ${one.sender}; the reader is ${one.reader}`, async () => {
      await checkAllArrives(channel, one);
    });
  });

  const stopped = isLong ? ALL : ['100000 messages'];
  eachCase(channel, ['disconnect()'], stopped, ['stopped'], ({ sender, way, load, reader }) => {
    it(`arrives as far as its callbacks say: ${load} of the ${sender}; the reader is stopped`, async () => {
      const options = { channel };
      const given = { ...LOADS[load], sender, way, reader, options };
      const { sent, done, failed, got, inOrder } = await lastWords(given);
      assert.equal(done + failed, sent);
      assert.deepEqual({ got, inOrder }, { got: done, inOrder: true });
    });
  });
});
