'use strict';

// Books about one child: what was sent to it, every callback, what came back, and the events of its end. They are what
// "each callback exactly once" and "nothing lost" are checked against.

const assert = require('node:assert/strict');
const { until } = require('./until');

const ENDS = ['disconnect', 'exit', 'close'];

class Tally {
  sent = []; // { message, callbacks: [error or null], returned: how often }
  ends = [];
  #child;
  #byMessage = new Map();

  /**
   * @param onUndelivered (message, handle), for what comes back; without it nobody listens
   */
  constructor(child, onUndelivered) {
    this.#child = child;
    for (const name of ENDS) child.on(name, () => this.ends.push(name));
    if (onUndelivered) {
      child.on('undelivered', (message, handle) => {
        this.#byMessage.get(message).returned++;
        onUndelivered(message, handle);
      });
    }
  }

  /** As child.send(), with a callback of ours. A `message` is sent once: it is how it is known again. */
  send(message, handle, options) {
    const entry = { message, callbacks: [], returned: 0 };
    this.sent.push(entry);
    this.#byMessage.set(message, entry);
    return this.#child.send(message, handle, options, (error) => entry.callbacks.push(error));
  }

  /** Resolves when every callback came, and what that needs of the child's end: nothing, or 'close'. */
  settled(limit) {
    return until(
      () => this.sent.every(({ callbacks }) => callbacks.length > 0),
      'every callback is called',
      limit,
    );
  }

  /** Resolves at 'close'. */
  ended(limit) {
    return until(() => this.ends.includes('close'), "'close' comes", limit);
  }

  /** Each callback once; what came back came once. Call it when nothing can come any more. */
  check() {
    const count = (predicate) => this.sent.filter(predicate).length;
    assert.equal(
      count(({ callbacks }) => callbacks.length === 0),
      0,
      'missing callbacks',
    );
    assert.equal(
      count(({ callbacks }) => callbacks.length > 1),
      0,
      'doubled callbacks',
    );
    assert.equal(
      count(({ returned }) => returned > 1),
      0,
      'handles that came back twice',
    );
  }

  /** The same for a child that has ended: each event of its end once, in order. */
  checkEnd() {
    this.check();
    assert.deepEqual(this.ends, ENDS);
  }

  get returned() {
    return this.sent.filter(({ returned }) => returned > 0).length;
  }

  get failed() {
    return this.sent.filter(({ callbacks: [error] }) => error).length;
  }
}

module.exports = { Tally };
