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

module.exports = { reportThrown };
