'use strict';

// Which wire a channel should be on: the runner says so, where the program runs under register.

const assert = require('node:assert/strict');

function checkWire(channel) {
  const expected = process.env.FORKWIRE_EXPECTED || undefined;
  assert.equal(channel.protocol, expected, channel.protocolReason);
}

module.exports = { checkWire };
