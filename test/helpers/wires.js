'use strict';

// The wires that a test runs on. FORKWIRE_TEST_CHANNEL=native,node chooses; stock has one, and ignores the option.

const { isStock } = require('./subject');

const WIRES = isStock ? ['stock'] : (process.env.FORKWIRE_TEST_CHANNEL ?? 'native').split(',');

/** Runs body(channel) for each wire, inside a describe(): `channel` is the option of fork(). */
function onEachWire(title, body) {
  for (const channel of WIRES) describe(`${title} [${channel}]`, () => body(channel));
}

module.exports = { WIRES, onEachWire };
