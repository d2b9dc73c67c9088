'use strict';

// Short forms of tests run with every change (npm test), long ones before a release: FORKWIRE_TEST_LONG=1, npm run test:long. The
// short form has every kind of test; the long one repeats it in all surroundings.

const isLong = process.env.FORKWIRE_TEST_LONG === '1';

/** In place of it(): for what another test shows as well, in other surroundings or on a smaller scale. */
const itInLong = (...args) => {
  if (isLong) it(...args);
};

/** For each of `count` surroundings in which the same tests run, in place of it(). In the short form each test runs in one of
 * them, in turn. */
function itInTurn(index, count) {
  let n = 0;
  return (...args) => {
    if (isLong || n++ % count === index) it(...args);
  };
}

/** Of what a test is repeated for: all, or in the short form those at `places`. */
const some = (all, ...places) => (isLong ? all : places.map((place) => all.at(place)));

module.exports = { isLong, itInLong, itInTurn, some };
