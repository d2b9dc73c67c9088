// tinypool with child processes: tasks in parallel, errors, and the end of the pool.

import assert from 'node:assert/strict';
import Tinypool from 'tinypool';

const pool = new Tinypool({
  runtime: 'child_process',
  filename: new URL('tinypool-task.mjs', import.meta.url).href,
  minThreads: 2,
  maxThreads: 2,
});
const results = await Promise.all(Array.from({ length: 40 }, (_, i) => pool.run({ i })));
assert.deepEqual(
  results.map(({ square }) => square),
  Array.from({ length: 40 }, (_, i) => i * i),
);
assert.ok(results.every(({ protocol }) => protocol === 'native'));
// It comes as a plain object.
await assert.rejects(pool.run({ fails: true }), { message: 'as it was told' });
await pool.destroy();

console.log('all passed');
