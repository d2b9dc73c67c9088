'use strict';

// The wires that a test runs on. FORKWIRE_TEST_CHANNEL=native,node chooses; stock has one, and ignores the option.

const { isStock } = require('./subject');

const WIRES = isStock ? ['stock'] : (process.env.FORKWIRE_TEST_CHANNEL ?? 'native').split(',');

/** Runs body(channel) for each wire, inside a describe(): `channel` is the option of fork(). */
function onEachWire(title, body) {
  for (const channel of WIRES) describe(`${title} [${channel}]`, () => body(channel));
}

/**
 * it(), but on stock Node's wire, where the child is stock Node itself, left out for a reason.
 * @param reason why it cannot be true there
 */
function itWithout(reason, channel, title, body) {
  if (channel === 'node') it.skip(`${title}: ${reason}`, body);
  else it(title, body);
}

module.exports = { WIRES, itWithout, onEachWire };
