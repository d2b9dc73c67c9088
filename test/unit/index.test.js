'use strict';

const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const forkwire = require('../..');

describe('the package', () => {
  it('is what package.json says it is', () => {
    assert.equal(require.resolve('../..'), require.resolve('../../lib/index.js'));
    assert.equal(require('../../package.json').main, './lib/index.js'.replace('./', ''));
  });

  it("can stand in child_process's place: the same names, of which fork and spawn differ", () => {
    assert.deepEqual(Object.keys(forkwire).toSorted(), Object.keys(childProcess).toSorted());
    const differing = Object.keys(forkwire).filter((name) => forkwire[name] !== childProcess[name]);
    assert.deepEqual(differing.toSorted(), ['fork', 'spawn']);
  });

  it('does not change child_process', () => {
    assert.notEqual(childProcess.fork, forkwire.fork);
    assert.equal(childProcess.ChildProcess.prototype.spawn.length, 1);
  });
});
