'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
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

  it("report an error as an 'error' event if somebody listens, else as a warning", async () => {
    const error = forkwireError('ERR_FORKWIRE_VERSION');
    const target = new EventEmitter();
    const heard = [];
    target.on('error', (reason) => heard.push(reason));
    diagnostics.report(target, error);
    assert.deepEqual(heard, [error]);
    const { stderr, code } = await runFunction(() => {
      const EventEmitter = require('node:events');
      const { report } = require('../../lib/diagnostics');
      const { forkwireError } = require('../../lib/errors');
      report(new EventEmitter(), forkwireError('ERR_FORKWIRE_VERSION'));
    });
    assert.equal(code, 0);
    assert.match(stderr, /\[ERR_FORKWIRE_VERSION\] ForkwireWarning: /);
  });
});
