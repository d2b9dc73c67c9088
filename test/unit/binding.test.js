'use strict';

const assert = require('node:assert/strict');
const { runFunction } = require('../helpers/run');

describe('the binding', () => {
  it('is the addon that FORKWIRE_BINARY names', async () => {
    const own = require('node:path').join(__dirname, '../../build/Release/forkwire.node');
    const env = { ...process.env, FORKWIRE_BINARY: process.env.FORKWIRE_BINARY ?? own };
    const { stdout } = await runFunction({ env }, () => {
      const binding = require('../../lib/binding');
      console.log(Object.keys(require.cache).includes(process.env.FORKWIRE_BINARY), typeof binding);
    });
    assert.equal(stdout, 'true object\n');
  });

  it('says where it looked and what to do when there is none', async () => {
    const env = { ...process.env, FORKWIRE_BINARY: '/nowhere/x.node' };
    const { stdout } = await runFunction({ env }, () => {
      try {
        require('../../lib/binding');
      } catch ({ code, message, cause }) {
        console.log(JSON.stringify([code, message, cause.code]));
      }
    });
    const [code, message, cause] = JSON.parse(stdout);
    assert.equal(code, 'ERR_FORKWIRE_NO_BINARY');
    assert.match(message, /\/nowhere\/x\.node/);
    assert.match(message, new RegExp(`${process.platform}-${process.arch}`));
    assert.equal(cause, 'MODULE_NOT_FOUND');
  });
});
