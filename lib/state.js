'use strict';

// The numbers that a channel and the addon share, so that looking at them costs no call.

/**
 * Indexes of a Float64Array. The addon keeps it up to date, but for WAITS, SCHEDULED, COUNTS and COSTS, which are ours.
 * Those of a lane are two, one behind the other.
 */
const STATE = {
  QUEUED: 0, // bytes
  WRITTEN: 1, // messages, per lane
  BROKEN: 3, // the peer reads no more
  EVENTS: 4, // settled handles that were not told yet
  WAITS: 5, // progress is to be told
  IN_BATCH: 6, // onBatch() is being called; the addon looks at the following ones when it returns
  SCHEDULED: 7, // deliveries are to come in a tick: END waits for them
  COUNTS: 8, // messages per lane that were delivered and not credited yet
  COSTS: 10, // the same in bytes
  SIZE: 12,
};

module.exports = { STATE };
