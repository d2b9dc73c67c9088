'use strict';

// What is tested: forkwire, or with FORKWIRE_TEST_STOCK=1 Node's own child_process, to see that a test of
// behaviour that is kept describes what stock does.

const { isDisabled } = require('../../lib/features');

const isStock = process.env.FORKWIRE_TEST_STOCK === '1';

const { fork, spawn } = isStock ? require('node:child_process') : require('../..');

/** In place of it(): a promise of forkwire that stock does not keep. */
const itIsBetter = (...args) => (isStock ? it.skip : it)(...args);

/** In place of it() or itIsBetter(): of a part of forkwire that FORKWIRE_DISABLE may switch off, or several, and without which
 * there is nothing to test. */
const itWith = (features, usual = itIsBetter) =>
  [features].flat().some(isDisabled) ? it.skip : usual;

module.exports = { fork, isStock, itIsBetter, itWith, spawn };
