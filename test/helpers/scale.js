'use strict';

// Short forms of tests run with every change, long ones before a release: `npm run test:faults -- --long`.

const isLong = process.env.FORKWIRE_TEST_LONG === '1';

module.exports = { isLong };
