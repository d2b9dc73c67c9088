'use strict';

// From a batch of the addon to 'message' and 'internalMessage' events: order, parking until somebody listens, and
// the credit that goes back to the peer.

const { Fifo } = require('./fifo');
const { isInternal } = require('./messages');
const { JSONParse, nextTick } = require('./primordials');
const {
  decode,
  decodeInternal,
  decodeJoined,
  isCopied,
  isFaultOfData,
} = require('./serialization');

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

/** Messages of one lane and one kind that came together; one, where it has a handle. */
class Run {
  #at = 0;
  #share;

  /**
   * @param cost of all of them, as far as the credit goes: each counts the same, the sum is what must be right
   * @param lane on which they came: its credit they go back to
   * @param isInternal whether they are 'internalMessage' events, all of them
   */
  constructor(messages, cost, lane, isInternal, handle) {
    this.messages = messages;
    this.lane = lane;
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

/** The value of a JSON text; undefined where it has none. */
function parsed(text) {
  try {
    return JSONParse(text);
  } catch {
    return undefined;
  }
}

class Inbox {
  #target;
  #native;
  #arrivals;
  #clusterWorker;
  #interpret;
  #arrived = new Fifo(); // runs with a tick to come for each message
  #kept = []; // items of the batch that is just being read
  #parked = new Fifo(); // runs of user messages that wait for a listener, or behind a handle that is not usable yet
  #deliveries;
  #isWaiting = false; // for that handle
  #unscheduled = 0; // messages of the batch that is just being read
  #isFlushScheduled = false;

  /**
   * @param deliveries the Deliveries of the channel
   * @param arrivals () => what makes objects of handles
   * @param clusterWorker looks at internal messages first
   * @param interpret what is to be delivered of a decoded entry, or null; where it is null, all of it
   */
  constructor(target, native, deliveries, arrivals, clusterWorker, interpret = null) {
    this.#target = target;
    this.#native = native;
    this.#deliveries = deliveries;
    this.#arrivals = arrivals;
    this.#clusterWorker = clusterWorker;
    this.#interpret = interpret;
  }

  /** A message that came alone is delivered at once if nothing is before it and somebody listens. Whether it was. */
  deliverText(text, cost) {
    const isFirst = this.#deliveries.ticks === 0 && this.#parked.size === 0 && this.#canDeliver;
    const message = isFirst ? parsed(text) : undefined;
    if (message === undefined || isInternal(message)) return false;
    this.#delivered(0, cost);
    this.#deliveries.running++;
    try {
      this.#target.emit('message', message, undefined);
    } finally {
      this.#deliveries.running--;
    }
    return true;
  }

  /** Messages whose ticks are to come already: message, cost, ... */
  takeOver(arrived) {
    for (let i = 0; i < arrived.length; i += 2)
      this.#arrived.push(new Run([arrived[i]], arrived[i + 1], 0, false, undefined));
  }

  /** The tick of one that arrived. */
  runArrivedTick() {
    this.runTick(deliverArrived);
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
  }

  #withKept(items) {
    if (this.#kept.length === 0) return items;
    const all = this.#kept;
    all.push(...items);
    this.#kept = [];
    return all;
  }

  /** Throws what the peer is to blame for. Any other error is this program's, and costs only what could not be decoded. */
  #decode(items) {
    let run = 0;
    let i = 0;
    while (i < items.length) {
      const code = items[i++];
      const value = items[i++];
      const cost = items[i++];
      const handle = code & HAS_HANDLE ? handleAt(items, i) : undefined;
      if (handle) i += HANDLE_ITEMS;
      try {
        if (code & JOINED) this.#decodeRun(value, code >> 8, run++, cost);
        else this.#decodeOne(code, value, cost, handle);
      } catch (error) {
        if (isFaultOfData(error)) throw error;
        nextTick(rethrow, error);
      }
    }
  }

  #decodeOne(code, value, cost, handle) {
    const lane = code & INTERNAL ? 1 : 0;
    let message;
    try {
      message = (lane === 1 ? decodeInternal : decode)(code & ENCODING, value);
    } catch (error) {
      this.#delivered(lane, cost);
      if (handle !== undefined) this.#arrivals().refuse(handle);
      throw error;
    }
    if (isCopied(code & ENCODING, value)) this.#native.discard(value);
    this.#add([message], cost, lane, handle);
  }

  #decodeRun(text, count, run, cost) {
    const whole = [];
    try {
      const messages = decodeJoined(text, count, () => this.#native.runSizes(run), whole);
      this.#add(messages, cost, 0, undefined);
    } catch (error) {
      if (whole.length > 0) this.#add(whole, cost, 0, undefined);
      else this.#delivered(0, cost);
      throw error;
    }
  }

  /** What is internal is what came, not what its sender says of it: the lane is only the way it took. */
  #add(messages, cost, lane, handle) {
    const isOne = messages.length === 1;
    const run = new Run(messages, cost, lane, isOne && isInternal(messages[0]), handle);
    if (this.#interpret !== null) this.#addEach(run, this.#addInterpreted);
    else if (isOne || !messages.some(isInternal)) this.#push(run);
    else this.#addEach(run, this.#addOne);
  }

  #push(run) {
    this.#arrived.push(run);
    this.#unscheduled += run.left;
  }

  #addEach(run, add) {
    while (!run.isThrough) {
      const message = run.take();
      add.call(this, message, run.lastCost, run);
    }
  }

  #addOne(message, cost, { lane }) {
    this.#push(new Run([message], cost, lane, isInternal(message), undefined));
  }

  #addInterpreted(message, cost, { handle }) {
    const wanted = this.#interpret({ message, handle, cost });
    if (wanted) {
      const lane = wanted.isInternal ? 1 : 0;
      this.#push(new Run([wanted.message], cost, lane, wanted.isInternal, wanted.handle));
    } else this.#delivered(0, cost); // it was for the channel itself
  }

  #delivered(lane, cost) {
    this.#deliveries.delivered(lane, cost);
  }

  /**
   * One tick for each message that arrived, as in stock: so each has an async context of its own, a listener that throws
   * stops no other message, and what listeners queue comes behind the messages of the same read.
   */
  deliverInTicks() {
    const count = this.#unscheduled;
    if (count === 0) return;
    this.#unscheduled = 0;
    this.#deliveries.schedule(count);
    for (let i = 0; i < count; i++) nextTick(deliverInTick, this);
  }

  /** One tick for all that are parked, as in stock. */
  #scheduleParked() {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    this.#deliveries.schedule(1);
    nextTick(flushInTick, this);
  }

  /** Any new listener may be one for 'message': it is added only after this event. */
  listenerAdded() {
    if (this.#parked.size > 0) this.#scheduleParked();
  }

  get #canDeliver() {
    return !this.#isWaiting && this.#target.listenerCount('message') > 0;
  }

  /** The tick of one message that arrived: delivers it, or parks it. */
  deliverArrived() {
    if (this.#arrived.size === 0) return; // the channel is over
    const { isInternal } = this.#arrived.first;
    if (isInternal || (this.#parked.size === 0 && this.#canDeliver)) {
      this.#deliverFirst(this.#arrived);
    } else this.#parkFirst();
  }

  #parkFirst() {
    const run = this.#arrived.first;
    const message = run.take();
    if (run.isThrough) this.#arrived.shift();
    this.#parked.push(new Run([message], run.lastCost, run.lane, false, run.handle));
    if (this.#canDeliver) this.#scheduleParked();
  }

  /** The tick of those that are parked. */
  flushParked() {
    this.#isFlushScheduled = false;
    try {
      while (this.#parked.size > 0 && this.#canDeliver) this.#deliverFirst(this.#parked);
    } finally {
      if (this.#parked.size > 0 && this.#canDeliver) this.#scheduleParked(); // a listener threw
    }
  }

  /** @param work what one of the scheduled ticks does */
  runTick(work) {
    this.#deliveries.beginTick();
    try {
      Reflect.apply(work, this, []);
    } finally {
      this.#deliveries.endTick();
    }
  }

  /** Whether something waits for nothing but its tick, or for the listener of the message before. */
  get #isDue() {
    return this.#arrived.size > 0 || (this.#parked.size > 0 && this.#canDeliver);
  }

  /** A listener turns the event loop. Most who do that run ticks as well: those that are to come have one turn's time. Then
   * what is due is delivered here. */
  turnWithin() {
    const deliveries = this.#deliveries;
    const isLate = deliveries.isOverdue;
    deliveries.isOverdue = !isLate && this.#isDue;
    if (isLate) deliveries.running++;
    try {
      while (isLate && this.#isDue) this.#deliverDue();
    } finally {
      if (isLate) deliveries.running--;
      deliveries.isScheduled = this.#isDue;
      deliveries.settle();
    }
  }

  #deliverDue() {
    if (this.#parked.size > 0 && this.#canDeliver) this.#deliverFirst(this.#parked);
    else this.deliverArrived();
  }

  #deliverFirst(queue) {
    const run = queue.first;
    const message = run.take();
    if (run.isThrough) queue.shift();
    this.#delivered(run.lane, run.lastCost);
    this.#emit(message, run);
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
      if (this.#parked.size > 0) this.#scheduleParked();
    };
    const ready = (object) => {
      goOn();
      this.#target.emit('message', message, object);
    };
    this.#arrivals().open(handle, ready, goOn);
  }

  /** Whether handles are here that no listener has yet. */
  get hasHandles() {
    return this.#isWaiting || [...this.#parked, ...this.#arrived].some(({ handle }) => handle);
  }

  /** This end says END: what waits for a listener is not delivered any more, unless that is just happening. */
  dropParked() {
    if (this.#deliveries.running === 0) this.#parked.clear();
  }

  /** The channel is over. Where the peer ended it, messages that wait for a listener still get to one; handles went back to
   * their sender. */
  end(isOwn) {
    const runs = isOwn ? [] : [...this.#parked, ...this.#arrived];
    this.#arrived.clear();
    this.#parked.clear();
    for (const run of runs) {
      if (run.handle === undefined && !run.isInternal) this.#parked.push(run);
    }
  }
}

const { deliverArrived, flushParked } = Inbox.prototype;

function deliverInTick(inbox) {
  inbox.runTick(deliverArrived);
}

function flushInTick(inbox) {
  inbox.runTick(flushParked);
}

/** An uncaught exception. */
function rethrow(error) {
  throw error;
}

module.exports = { Inbox };
