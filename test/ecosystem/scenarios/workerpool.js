'use strict';

// workerpool with processes: tasks, events of a task, errors, and a worker that is killed by a time limit.

const assert = require('node:assert/strict');
const path = require('node:path');
const workerpool = require('workerpool');

async function main() {
  const pool = workerpool.pool(path.join(__dirname, 'workerpool-worker.js'), {
    workerType: 'process',
    maxWorkers: 2,
  });
  assert.equal(await pool.exec('protocol'), 'native');
  const numbers = Array.from({ length: 40 }, (_, i) => i);
  const squares = await Promise.all(numbers.map((i) => pool.exec('square', [i])));
  assert.deepEqual(
    squares,
    numbers.map((i) => i * i),
  );
  const events = [];
  await pool.exec('tells', [3], { on: (event) => events.push(event) });
  assert.deepEqual(events, [0, 1, 2]);
  await assert.rejects(() => pool.exec('fails'), /as it was told/);
  await assert.rejects(() => pool.exec('sleeps').timeout(200), /timed out/i);
  assert.equal(await pool.exec('square', [5]), 25);
  await pool.terminate();
  console.log('all passed');
}

main();
