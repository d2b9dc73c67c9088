'use strict';

// From a batch of the addon to 'message' and 'internalMessage' events: order, parking until somebody listens, and
// the credit that goes back to the peer.

const { AsyncResource } = require('node:async_hooks');
const { Fifo } = require('./fifo');
const { runNextTicks } = require('./node-internals');
const { decode, decodeJoined, isCopied } = require('./serialization');

// Codes of Batch in src/binding/batch.h.
const HAS_HANDLE = 16;
const INTERNAL = 32;
const JOINED = 64;
const ENCODING = 15;

/** Messages of one lane that came together; one, where it has a handle. */
class Run {
  #at = 0;
  #share;

  /** @param cost of all of them, as far as the credit goes: each counts the same, the sum is what must be right */
  constructor(messages, cost, isInternal, handle) {
    this.messages = messages;
    this.isInternal = isInternal;
    this.handle = handle;
    this.cost = cost;
    this.#share = Math.floor(cost / messages.length);
  }

  get isThrough() {
    return this.#at === this.messages.length;
  }

  /** The next message; its cost is in `lastCost`. */
  take() {
    const message = this.messages[this.#at++];
    this.lastCost = this.isThrough ? this.cost : this.#share;
    this.cost -= this.lastCost;
    return message;
  }
}

class Inbox {
  #target;
  #native;
  #arrivals;
  #clusterWorker;
  #runInContext;
  #interpret;
  #arrived = new Fifo(); // runs that no turn looked at yet
  #parked = new Fifo(); // runs of user messages that wait for a listener, or behind a handle that is not usable yet
  #counts = [0, 0]; // messages per lane that were delivered and not credited yet
  #costs = [0, 0];
  #isWaiting = false; // for that handle
  #isScheduled = false;
  #isRunning = false;
  #isHolding = false; // END must wait for what is scheduled

  /**
   * @param arrivals () => what makes objects of handles
   * @param clusterWorker looks at internal messages first
   * @param runInContext (function, receiver, ...args): in the channel's async context
   * @param interpret what is to be delivered of a decoded entry, or null; where it is null, all of it
   */
  constructor(target, native, arrivals, clusterWorker, runInContext, interpret = null) {
    this.#target = target;
    this.#native = native;
    this.#arrivals = arrivals;
    this.#clusterWorker = clusterWorker;
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
      const messages = [decode(code & ENCODING, value)];
      if (isCopied(code & ENCODING, value)) this.#native.discard(value);
      this.#add(new Run(messages, cost, (code & INTERNAL) !== 0, handle));
    }
  }

  #add(run) {
    if (this.#interpret === null) this.#arrived.push(run);
    else while (!run.isThrough) this.#addInterpreted(run);
  }

  #addInterpreted(run) {
    const { isInternal, handle } = run;
    const message = run.take();
    const cost = run.lastCost;
    const wanted = this.#interpret({ message, handle, cost, isInternal });
    if (wanted) {
      this.#arrived.push(new Run([wanted.message], cost, wanted.isInternal, wanted.handle));
    } else this.#native.deliver(0, 1, cost); // it was for the channel itself
  }

  #decodeRun(text, count, run, cost) {
    const whole = [];
    try {
      const messages = decodeJoined(text, count, () => this.#native.runSizes(run), whole);
      this.#add(new Run(messages, cost, false, undefined));
    } catch (error) {
      if (whole.length > 0) this.#add(new Run(whole, cost, false, undefined));
      throw error;
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
    this.#runInContext(process.nextTick, process, runInTick, this);
  }

  /** Any new listener may be one for 'message': it is added only after this event. */
  listenerAdded() {
    if (this.#parked.size > 0) this.#schedule();
  }

  get #canDeliver() {
    return !this.#isWaiting && this.#target.listenerCount('message') > 0;
  }

  /** The queue whose first run has the next message to emit, or null. User messages that cannot be delivered are
   * parked on the way. */
  #next() {
    if (this.#parked.size > 0 && this.#canDeliver) return this.#parked;
    while (this.#arrived.size > 0) {
      if (this.#arrived.first.isInternal) return this.#arrived;
      if (this.#parked.size === 0 && this.#canDeliver) return this.#arrived;
      this.#parked.push(this.#arrived.shift());
    }
    return null;
  }

  run() {
    this.#isScheduled = false;
    if (this.#isRunning) return; // a tick between two messages: the loop below goes on
    this.#isRunning = true;
    try {
      for (let queue = this.#next(); queue !== null; queue = this.#next())
        this.#deliverFirst(queue);
    } finally {
      this.#isRunning = false;
      this.#afterRun();
    }
  }

  #deliverFirst(queue) {
    const run = queue.first;
    const message = run.take();
    const lane = run.isInternal ? 1 : 0;
    this.#counts[lane]++;
    this.#costs[lane] += run.lastCost;
    if (run.isThrough) queue.shift();
    // Each has an async context of its own, as in stock, where each has a tick.
    new AsyncResource('FORKWIREMESSAGE').runInAsyncScope(this.#emit, this, message, run);
    runNextTicks(); // and all that it queued, before the next one. The channel may end in it
  }

  #afterRun() {
    for (const lane of [0, 1]) {
      if (this.#counts[lane] === 0) continue;
      this.#native.deliver(lane, this.#counts[lane], this.#costs[lane]);
      this.#counts[lane] = this.#costs[lane] = 0;
    }
    if (this.#arrived.size > 0 || (this.#parked.size > 0 && this.#canDeliver)) {
      this.#schedule(); // a listener threw
    } else if (this.#isHolding && !this.#isScheduled) {
      this.#isHolding = false;
      this.#native.release();
    }
  }

  #emit(message, { handle, isInternal }) {
    if (isInternal && !this.#clusterWorker.received(message)) {
      if (handle !== undefined) this.#arrivals().refuse(handle);
      return;
    }
    if (handle === undefined) {
      this.#target.emit(isInternal ? 'internalMessage' : 'message', message, undefined);
    } else if (isInternal) this.#emitInternalWithHandle(message, handle);
    else this.#emitWithHandle(message, handle);
  }

  #emitInternalWithHandle(message, handle) {
    if (this.#target.listenerCount('internalMessage') === 0) {
      this.#arrivals().refuse(handle);
      return;
    }
    const ready = (object) => this.#target.emit('internalMessage', message, object);
    this.#arrivals().open(handle, ready, () => {});
  }

  /** Those behind it wait until the handle is usable: order is kept. */
  #emitWithHandle(message, handle) {
    this.#isWaiting = true;
    const goOn = () => {
      this.#isWaiting = false;
      if (!this.#isRunning && this.#parked.size > 0) this.#schedule();
    };
    const ready = (object) => {
      goOn();
      this.#target.emit('message', message, object);
    };
    this.#arrivals().open(handle, ready, goOn);
  }

  /** This end says END: what waits for a listener is not delivered any more, unless that is just happening. */
  dropParked() {
    if (!this.#isRunning) this.#parked.clear();
  }

  /** The channel is over: what nobody took is dropped. */
  end() {
    this.#arrived.clear();
    this.#parked.clear();
  }
}

function runInTick(inbox) {
  inbox.run();
}

module.exports = { Inbox };
