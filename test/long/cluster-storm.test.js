'use strict';

// 10,000 requests to a cluster of four workers while one is killed every 200 ms.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { fixture } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');

describe('10,000 requests to a plain http cluster', function () {
  this.timeout(600_000);

  it('are answered while workers are killed, but those that a killed worker had taken', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
    const file = path.join(folder, 'log');
    const register = require.resolve('../../lib/register');
    const args = ['--require', register, fixture('cluster-storm.js'), '10000', '20', '200', file];
    const { stdout, code } = await run(process.execPath, args);
    fs.rmSync(folder, { recursive: true });
    assert.equal(code, 0);
    const { answered, failed, notTaken, kills, slowest } = JSON.parse(stdout);
    console.log(
      `      ${answered} answered, ${failed} failed, ${kills} kills, slowest ${slowest} ms`,
    );
    assert.ok(answered + failed >= 10_000);
    assert.deepEqual(notTaken, []);
  });
});
