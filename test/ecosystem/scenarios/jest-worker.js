'use strict';

// jest-worker with processes: calls in parallel, errors, messages on the side, and the end of its farm.

const assert = require('node:assert/strict');
const path = require('node:path');
const { Worker } = require('jest-worker');

async function main() {
  const farm = new Worker(path.join(__dirname, 'jest-worker-task.js'), {
    enableWorkerThreads: false,
    numWorkers: 2,
    exposedMethods: ['square', 'protocol', 'fails'],
  });
  assert.equal(await farm.protocol(), 'native');
  const numbers = Array.from({ length: 40 }, (_, i) => i);
  assert.deepEqual(
    await Promise.all(numbers.map((i) => farm.square(i))),
    numbers.map((i) => i * i),
  );
  await assert.rejects(() => farm.fails(), /as it was told/);
  const { forceExited } = await farm.end();
  assert.equal(forceExited, false);
  console.log('all passed');
}

main();
