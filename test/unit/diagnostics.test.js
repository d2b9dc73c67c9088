'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const diagnostics = require('../../lib/diagnostics');
const { forkwireError } = require('../../lib/errors');
const { runFunction } = require('../helpers/run');

describe('diagnostics', () => {
  it('make a process warning of an error, with its code', async () => {
    const warning = once(process, 'warning');
    const stderr = process.stderr.write;
    process.stderr.write = () => true; // Node prints it as well
    try {
      diagnostics.warn(forkwireError('ERR_FORKWIRE_HANDLE_LOST'));
      const [{ name, code, message }] = await warning;
      assert.equal(name, 'ForkwireWarning');
      assert.equal(code, 'ERR_FORKWIRE_HANDLE_LOST');
      assert.match(message, /handle did not arrive/);
    } finally {
      process.stderr.write = stderr;
    }
  });

  it('print the lines of the log with the time and the pid, if they are asked for', async () => {
    for (const [NODE_DEBUG, expected] of [
      ['forkwire', /^FORKWIRE (\d+): \d\d:\d\d:\d\d\.\d{3} the line\n$/],
      ['', /^$/],
    ]) {
      const env = { ...process.env, NODE_DEBUG };
      const { stderr, stdout, pid } = await runFunction({ env }, () => {
        const { isTracing, trace } = require('../../lib/diagnostics');
        console.log(isTracing);
        trace('the line');
      });
      assert.equal(stdout, `${NODE_DEBUG === 'forkwire'}\n`);
      const match = expected.exec(stderr);
      assert.ok(match, stderr);
      if (match[1]) assert.equal(Number(match[1]), pid);
    }
  });
});
