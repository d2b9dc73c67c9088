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

  it('are told whether the wire log is asked for', async () => {
    for (const NODE_DEBUG of ['forkwire', '']) {
      const env = { ...process.env, NODE_DEBUG };
      const { stdout } = await runFunction({ env }, () => {
        console.log(require('../../lib/diagnostics').isTracing);
      });
      assert.equal(stdout, `${NODE_DEBUG === 'forkwire'}\n`);
    }
  });
});
