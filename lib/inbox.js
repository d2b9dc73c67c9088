'use strict';

// From a batch of the addon to 'message' and 'internalMessage' events: order, parking until somebody listens, and
// the credit that goes back to the peer.

const { runNextTicks } = require('./node-internals');
const { decode, decodeJoined, isCopied } = require('./serialization');

// Codes of Batch in src/binding/batch.h.
const HAS_HANDLE = 16;
const INTERNAL = 32;
const JOINED = 64;
const ENCODING = 15;

function emitInTick(inbox, entry) {
  inbox.emit(entry);
}

class Inbox {
  #target;
  #native;
  #arrivals;
  #runInContext;
  #interpret;
  #arrived = []; // entries that no turn looked at yet
  #parked = []; // user entries that wait for a listener, or behind a handle that is not usable yet
  #isWaiting = false; // for that handle
  #isScheduled = false;
  #isRunning = false;
  #isHolding = false; // END must wait for what is scheduled

  /**
   * @param runInContext (function, receiver, ...args): in the channel's async context
   * @param interpret what is to be delivered of a decoded entry, or null; by default all of it
   */
  constructor(target, native, arrivals, runInContext, interpret = (entry) => entry) {
    this.#target = target;
    this.#native = native;
    this.#arrivals = arrivals;
    this.#runInContext = runInContext;
    this.#interpret = interpret;
  }

  /** A batch, flat: code, value, cost [, handle] ... What came before something that cannot be decoded is
   * delivered; then `onBad(error)` is called. */
  receive(items, onBad) {
    try {
      this.#decode(items);
    } catch (error) {
      onBad(error);
    }
    this.#schedule();
  }

  #decode(items) {
    let run = 0;
    let i = 0;
    while (i < items.length) {
      const code = items[i++];
      const value = items[i++];
      const cost = items[i++];
      if (code & JOINED) {
        this.#decodeRun(value, code >> 8, run++, cost);
        continue;
      }
      const handle = code & HAS_HANDLE ? items[i++] : undefined;
      const message = decode(code & ENCODING, value);
      if (isCopied(code & ENCODING, value)) this.#native.discard(value);
      this.#add({ message, handle, cost, isInternal: (code & INTERNAL) !== 0 });
    }
  }

  #add(entry) {
    const wanted = this.#interpret(entry);
    if (wanted) this.#arrived.push(wanted);
    else this.#native.deliver(0, 1, entry.cost); // it was for the channel itself
  }

  /** Messages that came joined cost the same each, as far as the credit goes: the sum is what must be right. */
  #decodeRun(text, count, run, cost) {
    const messages = [];
    const share = Math.floor(cost / count);
    const rest = cost - share * (count - 1);
    try {
      decodeJoined(text, count, () => this.#native.runSizes(run), messages);
    } finally {
      for (const [i, message] of messages.entries()) {
        const own = i === count - 1 ? rest : share;
        this.#add({ message, handle: undefined, cost: own, isInternal: false });
      }
    }
  }

  /** Deliveries happen in a tick of their own: a listener that throws then stops nothing, as in stock. */
  #schedule() {
    if (!this.#isHolding) {
      this.#isHolding = true;
      this.#native.hold();
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#runInContext(process.nextTick, process, () => this.#run());
  }

  /** Any new listener may be one for 'message': it is added only after this event. */
  listenerAdded() {
    if (this.#parked.length > 0) this.#schedule();
  }

  get #canDeliver() {
    return !this.#isWaiting && this.#target.listenerCount('message') > 0;
  }

  /** The next entry to emit, or undefined. User messages that cannot be delivered are parked on the way. */
  #next(position) {
    if (this.#parked.length > position.parked && this.#canDeliver) {
      return this.#parked[position.parked++];
    }
    while (position.arrived < this.#arrived.length) {
      const entry = this.#arrived[position.arrived++];
      if (entry.isInternal) return entry;
      if (this.#parked.length === position.parked && this.#canDeliver) return entry;
      this.#parked.push(entry);
    }
    return undefined;
  }

  #run() {
    this.#isScheduled = false;
    if (this.#isRunning) return; // a tick between two messages: the loop below goes on
    this.#isRunning = true;
    const position = { arrived: 0, parked: 0 };
    const delivered = { counts: [0, 0], costs: [0, 0] };
    try {
      let isFirst = true;
      for (let entry = this.#next(position); entry; entry = this.#next(position)) {
        const lane = entry.isInternal ? 1 : 0;
        delivered.counts[lane]++;
        delivered.costs[lane] += entry.cost;
        // A tick for each, as in stock, so that each has an async context of its own; this one is the first's.
        if (isFirst) this.emit(entry);
        else this.#runInContext(process.nextTick, process, emitInTick, this, entry);
        isFirst = false;
        runNextTicks(); // and all that it queued, before the next one. The channel may end in it
      }
    } finally {
      this.#isRunning = false;
      this.#afterRun(position, delivered);
    }
  }

  #afterRun(position, { counts, costs }) {
    this.#arrived.splice(0, position.arrived);
    this.#parked.splice(0, position.parked);
    for (const lane of [0, 1]) {
      if (counts[lane] > 0) this.#native.deliver(lane, counts[lane], costs[lane]);
    }
    if (this.#arrived.length > 0 || (this.#parked.length > 0 && this.#canDeliver)) {
      this.#schedule(); // a listener threw
    } else if (this.#isHolding && !this.#isScheduled) {
      this.#isHolding = false;
      this.#native.release();
    }
  }

  emit({ message, handle, isInternal }) {
    const event = isInternal ? 'internalMessage' : 'message';
    if (handle === undefined) this.#target.emit(event, message, undefined);
    else if (isInternal) this.#emitInternalWithHandle(message, handle);
    else this.#emitWithHandle(message, handle);
  }

  #emitInternalWithHandle(message, handle) {
    if (this.#target.listenerCount('internalMessage') === 0) {
      this.#arrivals.refuse(handle);
      return;
    }
    const ready = (object) => this.#target.emit('internalMessage', message, object);
    this.#arrivals.open(handle, ready, () => {});
  }

  /** Those behind it wait until the handle is usable: order is kept. */
  #emitWithHandle(message, handle) {
    this.#isWaiting = true;
    const goOn = () => {
      this.#isWaiting = false;
      if (!this.#isRunning && this.#parked.length > 0) this.#schedule();
    };
    const ready = (object) => {
      goOn();
      this.#target.emit('message', message, object);
    };
    this.#arrivals.open(handle, ready, goOn);
  }

  /** This end says END: what waits for a listener is not delivered any more, unless that is just happening. */
  dropParked() {
    if (!this.#isRunning) this.#parked.length = 0;
  }

  /** The channel is over: what nobody took is dropped. */
  end() {
    this.#arrived.length = 0;
    this.#parked.length = 0;
  }
}

module.exports = { Inbox };
