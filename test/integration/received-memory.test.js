'use strict';

// Large Buffers lie where they arrived, in memory of the addon or in memory shared with the peer. They may go to other threads, and
// their bytes stay what they are, whoever ends first.

const assert = require('node:assert/strict');
const { runFunction } = require('../helpers/run');
const { some } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');

const SIZE = 300_000;

/** A thread gets Buffers from a child, passes their memory on in one of several ways, and ends; they are read behind that. */
async function passOn(subject, way, size) {
  const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
  const { fork } = require(subject);

  function receive(post) {
    const env = { ...process.env, IS_CHILD: '1' };
    const options = { serialization: 'advanced', env };
    const child = fork(process.argv[1], process.argv.slice(2), options);
    let left = 20;
    const memories = [];
    child.on('message', (message) => {
      memories.push(memoryOf(message.bytes ?? message));
      if (--left > 0) return;
      post(memories, memories);
      child.disconnect();
    });
  }

  /** Memory that can go to another thread. */
  function memoryOf({ buffer }) {
    if (way === 'transfer' && buffer.transfer) return buffer.transfer();
    if (way === 'transfer to another size' && buffer.transfer) {
      return buffer.transfer(buffer.byteLength + 100);
    }
    return way === 'structuredClone' ? structuredClone(buffer, { transfer: [buffer] }) : buffer;
  }

  function check(memories) {
    const others = Array.from({ length: 40 }, () => Buffer.alloc(size, 1)); // where it was, if it was freed
    const wrong = memories.filter((memory, i) => {
      const bytes = new Uint8Array(memory).subarray(64, size); // views lie behind their message
      return !bytes.every((byte) => byte === (i % 7) + 2);
    });
    console.log(memories.length, wrong.length, others.length);
  }

  if (process.env.IS_CHILD) {
    for (let i = 0; i < 20; i++) {
      const bytes = Buffer.alloc(size, (i % 7) + 2);
      process.send(i % 2 ? bytes : { bytes });
    }
    return;
  }
  if (!isMainThread) {
    receive((memories, list) => parentPort.postMessage(memories, list));
    return;
  }
  const worker = new Worker(process.argv[1], { argv: process.argv.slice(2), workerData });
  worker.on('message', async (memories) => {
    await worker.terminate();
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
    check(memories);
  });
}

/** The main thread gets Buffers, gives their memory to a thread, and forgets them; the process ends while that reads. */
function giveAway(subject, size) {
  const { Worker, isMainThread, parentPort } = require('node:worker_threads');
  const { fork } = require(subject);
  if (process.env.IS_CHILD) {
    for (let i = 0; i < 20; i++) process.send(Buffer.alloc(size, 5));
    return;
  }
  if (!isMainThread) {
    parentPort.on('message', (memories) => {
      const wrong = memories.filter((each) => !new Uint8Array(each).every((byte) => byte === 5));
      parentPort.postMessage([memories.length, wrong.length]);
      for (;;) for (const each of memories) new Uint8Array(each).fill(6);
    });
    return;
  }
  const worker = new Worker(process.argv[1], { argv: process.argv.slice(2) });
  const env = { ...process.env, IS_CHILD: '1' };
  const child = fork(process.argv[1], process.argv.slice(2), { serialization: 'advanced', env });
  const received = [];
  child.on('message', ({ buffer }) => {
    if (received.push(buffer) === 20) child.disconnect();
  });
  child.on('close', () => {
    worker.postMessage(received, received);
    received.length = 0;
    globalThis.gc();
  });
  worker.on('message', (result) => {
    console.log(...result);
    setTimeout(() => process.exit(), 50);
  });
}

describe('a large Buffer that the main thread received', () => {
  itIsBetter('may go to another thread, and outlives its channel there', async () => {
    const options = { with: [require.resolve('../..'), SIZE], nodeArgs: ['--expose-gc'] };
    const { code, signal, stdout, stderr } = await runFunction(options, giveAway);
    assert.deepEqual(
      { code, signal, stdout: stdout.trim(), stderr },
      { code: 0, signal: null, stdout: '20 0', stderr: '' },
    );
  });
});

describe('a large Buffer that a Worker received', () => {
  for (const disabled of ['', 'segments']) {
    const where = disabled ? 'over the socket' : 'in shared memory';
    const ways = ['transfer', 'transfer to another size', 'structuredClone', 'postMessage'];
    for (const way of some(ways, disabled ? 2 : 0, disabled ? 1 : 3)) {
      itIsBetter(`keeps its bytes when it went to the main thread (${way}, ${where})`, async () => {
        const env = { ...process.env, FORKWIRE_DISABLE: disabled };
        const options = { with: [require.resolve('../..'), way, SIZE], nodeArgs: ['--expose-gc'] };
        const { code, signal, stdout, stderr } = await runFunction({ ...options, env }, passOn);
        assert.deepEqual(
          { code, signal, stdout: stdout.trim(), stderr },
          { code: 0, signal: null, stdout: '20 0 40', stderr: '' },
        );
      });
    }
  }
});
