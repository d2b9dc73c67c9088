'use strict';

// Small messages that a program sends in a row cross into the addon together: as JSON texts in one string, since a
// call and a copy for each would cost more than what it takes to make them. The first of a turn never waits here.

const { isDisabled } = require('./features');
const { nextTick, now } = require('./primordials');
const { STATE } = require('./state');

/** Longer texts go alone: joined, they cost more than they save. Characters. */
const TEXT_MAX = 2048;

const GATHER_SIZE = 16_000; // characters that are worth a write
const GATHER_MS = 0.05; // since some were handed over
const MAX_STRIDE = 8; // the clock is read at least so often, in messages

const isOff = isDisabled('gathering');

const waiting = new Set(); // those with a tick to come

class Gathering {
  #native;
  #state;
  #texts = '';
  #isScheduled = false;
  #since = 0;
  #stride = 1;
  #left = 0; // messages until the clock is read

  constructor(native, state) {
    this.#native = native;
    this.#state = state;
  }

  /** Characters that wait here. */
  get size() {
    return this.#texts.length;
  }

  /** Whether a message with that text is to wait here: something left in this turn, and more may follow. */
  wants(text) {
    return this.#state[STATE.GATHERS] !== 0 && !isOff && text.length <= TEXT_MAX;
  }

  /** @param text JSON, which has no line break */
  add(text) {
    const isFirst = !this.#isScheduled;
    this.#texts = this.#texts === '' ? text : `${this.#texts}\n${text}`;
    if (isFirst) this.#begin();
    else if (this.#texts.length >= GATHER_SIZE || (--this.#left === 0 && this.#isLate())) {
      this.handOver();
    }
  }

  /** The addon knows whether the last write is so long ago that this one is not to wait. */
  #begin() {
    this.#isScheduled = true;
    waiting.add(this);
    nextTick(handOverInTick, this);
    this.handOver();
    this.#since = now();
    this.#stride = this.#left = 1;
  }

  /** While messages come fast, the clock is read less and less often: it costs more than one of them. */
  #isLate() {
    const time = now();
    const isLate = time - this.#since > GATHER_MS;
    if (isLate) this.#since = time;
    this.#stride = isLate ? 1 : Math.min(this.#stride * 2, MAX_STRIDE);
    this.#left = this.#stride;
    return isLate;
  }

  /** To the addon, which knows when they are to be written. Everything that is sent otherwise comes behind them. */
  handOver() {
    if (this.#texts === '') return;
    const texts = this.#texts;
    this.#texts = '';
    this.#native.sendTexts(texts);
  }

  /** The tick behind the first one. */
  finishTick() {
    this.#isScheduled = false;
    waiting.delete(this);
    this.handOver();
  }
}

function handOverInTick(gathering) {
  gathering.finishTick();
}

/** No tick may come any more: the process ends. */
function handOverAll() {
  for (const gathering of waiting) gathering.handOver();
}

module.exports = { Gathering, handOverAll };
