'use strict';

// What a channel needs once a handle travels on it, made with the first one: most channels carry none.

const { Arrivals } = require('./arrivals');
const { Bookkeeping } = require('./bookkeeping');
const { conversionOf } = require('./handles');

class HandleTraffic {
  /**
   * @param target whose channel it is
   * @param native the addon's channel
   * @param closeFd closes a descriptor of which no object could be made
   * @param makeError (code) => an error about the peer
   * @param polls NodePolls on stock Node's wire, else null
   */
  constructor(target, native, closeFd, makeError, polls) {
    const report = polls
      ? () => native.retryMissing() // a socket closed: there is room for another
      : (key, count) => native.addClosed(key, count);
    const expect = (key, areExpected) => native.expectCounts(key, areExpected);
    this.bookkeeping = new Bookkeeping(target, report, polls, expect);
    this.arrivals = new Arrivals(native, this.bookkeeping, closeFd, makeError);
  }
}

module.exports = { HandleTraffic, conversionOf };
