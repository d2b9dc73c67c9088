'use strict';

// What is tested: forkwire, or with FORKWIRE_TEST_STOCK=1 Node's own child_process, to see that a test of
// behaviour that is kept describes what stock does.

const isStock = process.env.FORKWIRE_TEST_STOCK === '1';

const { fork, spawn } = isStock ? require('node:child_process') : require('../..');

/** In place of it(): a promise of forkwire that stock does not keep. */
const itIsBetter = (...args) => (isStock ? it.skip : it)(...args);

module.exports = { fork, isStock, itIsBetter, spawn };
