'use strict';

const assert = require('node:assert/strict');
const { fixture } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');

const COUNT = 2000;
const AT_ONCE = 8;

describe('Workers that are terminated at random', function () {
  this.timeout(0);

  it('send no descriptor of another thread', async () => {
    const args = [fixture('terminations.js'), COUNT, AT_ONCE];
    const { stdout } = await run(process.execPath, args);
    const { count, foreign } = JSON.parse(stdout);
    assert.deepEqual(foreign, []);
    assert.ok(count > COUNT, `${count} descriptors were sent`);
  });
});
