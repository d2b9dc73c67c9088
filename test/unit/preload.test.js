'use strict';

const assert = require('node:assert/strict');
const { run } = require('../helpers/run');

const PRELOAD = require.resolve('../../lib/preload');

describe('the preload', () => {
  it('loads nothing of ours in a process that has no channel', async () => {
    const code = 'console.log(Object.keys(require.cache).length)';
    const { stdout } = await run(process.execPath, ['--require', PRELOAD, '-e', code]);
    assert.equal(stdout, '1\n'); // itself
  });

  it('does nothing in a Worker', async () => {
    const code = `
      const { Worker, isMainThread } = require('node:worker_threads');
      if (isMainThread) {
        process.env.FORKWIRE_CHANNEL = '3:1';
        new Worker(${JSON.stringify('console.log(process.env.FORKWIRE_CHANNEL)')}, { eval: true });
      }`;
    const { stdout, stderr } = await run(process.execPath, ['--require', PRELOAD, '-e', code]);
    assert.equal(stderr, '');
    assert.equal(stdout, '3:1\n'); // not taken out: it was meant for the process
  });
});
