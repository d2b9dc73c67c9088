'use strict';

// The numbers that a channel and the addon share, so that looking at them costs no call.

/**
 * Indexes of a Float64Array that the addon keeps up to date. WAITS is ours: whether progress is to be told. Those of a
 * lane are two, one behind the other.
 */
const STATE = {
  QUEUED: 0, // bytes
  WRITTEN: 1, // messages, per lane
  BROKEN: 3, // the peer reads no more
  EVENTS: 4, // settled handles that were not told yet
  WAITS: 5,
  GATHERS: 6, // a small message that is sent now would wait for others
  SIZE: 7,
};

module.exports = { STATE };
