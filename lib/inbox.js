'use strict';

// From a batch of the addon to 'message' and 'internalMessage' events: order, parking until somebody listens, and
// the credit that goes back to the peer.

const { AsyncResource } = require('node:async_hooks');
const { Fifo } = require('./fifo');
const { runNextTicks } = require('./node-internals');
const { decode, decodeJoined, isCopied } = require('./serialization');
const { STATE } = require('./state');

// Codes of Batch in src/binding/batch.h.
const HAS_HANDLE = 16;
const INTERNAL = 32;
const JOINED = 64;
const ENCODING = 15;

const HANDLE_ITEMS = 6;

const handleAt = (items, i) => ({
  id: items[i],
  kind: items[i + 1], // fw_fd_kind_t
  type: items[i + 2],
  flags: items[i + 3],
  key: items[i + 4], // of the server that counts it, or undefined
  buffered: items[i + 5], // what had been read from it, or undefined
});

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

  /** Messages that were not taken. */
  get left() {
    return this.messages.length - this.#at;
  }

  get isThrough() {
    return this.left === 0;
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
  #kept = []; // items of the batch that is just being read
  #parked = new Fifo(); // runs of user messages that wait for a listener, or behind a handle that is not usable yet
  #state;
  #isWaiting = false; // for that handle
  #isScheduled = false;
  #isRunning = false;

  /**
   * @param state Float64Array that is shared with `native`
   * @param arrivals () => what makes objects of handles
   * @param clusterWorker looks at internal messages first
   * @param runInContext (function, receiver): in the channel's async context, in which receive() is called
   * @param interpret what is to be delivered of a decoded entry, or null; where it is null, all of it
   */
  constructor(target, native, state, arrivals, clusterWorker, runInContext, interpret = null) {
    this.#target = target;
    this.#native = native;
    this.#state = state;
    this.#arrivals = arrivals;
    this.#clusterWorker = clusterWorker;
    this.#runInContext = runInContext;
    this.#interpret = interpret;
  }

  /** Items of a batch, flat, as src/binding/batch.h describes them, of which more will come. */
  keep(items) {
    this.#kept.push(...items);
  }

  /** The last of a batch. What came before something that cannot be decoded is delivered; then `onBad(error)` is called. */
  receive(items, onBad) {
    const all = this.#withKept(items);
    if (all.length === 0) return; // events only
    try {
      this.#decode(all);
    } catch (error) {
      onBad(error);
    }
    if (this.#beginSchedule()) process.nextTick(runInTick, this);
  }

  #withKept(items) {
    if (this.#kept.length === 0) return items;
    const all = this.#kept;
    all.push(...items);
    this.#kept = [];
    return all;
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
      const handle = code & HAS_HANDLE ? handleAt(items, i) : undefined;
      if (handle) i += HANDLE_ITEMS;
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
    } else this.#delivered(0, cost); // it was for the channel itself
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

  #delivered(lane, cost) {
    this.#state[STATE.COUNTS + lane]++;
    this.#state[STATE.COSTS + lane] += cost;
  }

  /** Deliveries happen in a tick of their own: a listener that throws then stops nothing, as in stock. */
  #schedule() {
    if (this.#beginSchedule()) this.#runInContext(scheduleRun, this);
  }

  /** Whether it is not scheduled already. */
  #beginSchedule() {
    if (this.#isScheduled) return false;
    this.#isScheduled = true;
    this.#state[STATE.SCHEDULED] = 1;
    this.#settle();
    return true;
  }

  /** Tells the addon what changed, unless it is about to look by itself. */
  #settle() {
    if (this.#state[STATE.IN_BATCH] === 0) this.#native.settle();
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
      this.#deliverAll();
    } finally {
      this.#isRunning = false;
      this.#afterRun();
    }
  }

  /** Each message has an async context of its own, as in stock, where each has a tick. One that is alone has this tick. */
  #deliverAll() {
    let queue = this.#next();
    if (queue !== null && this.#isAlone(queue)) {
      this.#deliverFirst(queue, null);
      return;
    }
    while (queue !== null) {
      this.#deliverFirst(queue, new AsyncResource('FORKWIREMESSAGE'));
      if (this.#arrived.size === 0 && this.#parked.size === 0) return;
      runNextTicks(); // all that the message queued, before the next one. The channel may end in it
      queue = this.#next();
    }
  }

  #isAlone(queue) {
    return this.#arrived.size + this.#parked.size === 1 && queue.first.left === 1;
  }

  #deliverFirst(queue, resource) {
    const run = queue.first;
    const message = run.take();
    this.#delivered(run.isInternal ? 1 : 0, run.lastCost);
    if (run.isThrough) queue.shift();
    if (resource === null) this.#emit(message, run);
    else resource.runInAsyncScope(this.#emit, this, message, run);
  }

  #afterRun() {
    this.#state[STATE.SCHEDULED] = this.#isScheduled ? 1 : 0; // a listener added one, and threw
    if (this.#arrived.size > 0 || (this.#parked.size > 0 && this.#canDeliver)) {
      this.#schedule(); // a listener threw, or more came meanwhile
    } else this.#settle();
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

function scheduleRun() {
  process.nextTick(runInTick, this);
}

module.exports = { Inbox };
