'use strict';

// What a channel, small or whole, counts of its messages: which were delivered, and whether a tick is to come.

const { STATE } = require('./state');

class Deliveries {
  #native;
  #state;
  ticks = 0; // that are to come
  running = 0; // listeners that did not return: more than one where one turns the event loop itself
  isOverdue = false; // one does, and did not run the ticks that are to come

  /** @param state Float64Array that is shared with `native` */
  constructor(native, state) {
    this.#native = native;
    this.#state = state;
  }

  /** A message is being given to its listeners: its credit goes back. */
  delivered(lane, cost) {
    this.#state[STATE.COUNTS + lane]++;
    this.#state[STATE.COSTS + lane] += cost;
  }

  /** While a tick is to come, this end does not say END. */
  schedule(count) {
    this.ticks += count;
    this.isScheduled = true;
    this.settle();
  }

  set isScheduled(isScheduled) {
    this.#state[STATE.SCHEDULED] = isScheduled ? 1 : 0;
  }

  beginTick() {
    this.isOverdue = false;
    this.running++;
  }

  endTick() {
    this.running--;
    this.ticks--;
    if (this.ticks === 0) this.isScheduled = false;
    this.settle();
  }

  /** Tells the addon what changed, unless it is about to look by itself. */
  settle() {
    if (this.#state[STATE.IN_BATCH] === 0) this.#native.settle();
  }
}

module.exports = { Deliveries };
