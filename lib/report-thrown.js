'use strict';

const { nextTick } = require('./primordials');

/** Runs what may enter a listener or a method of the program's at a moment in which nothing may stop: what that throws is an
 * uncaught error of its own, as from any listener. */
function reportThrown(method) {
  try {
    method();
  } catch (error) {
    nextTick(() => {
      throw error;
    });
  }
}

/** Each of these steps, whether or not those before it throw. */
function reportEach(steps) {
  for (const step of steps) reportThrown(step);
}

module.exports = { reportEach, reportThrown };
