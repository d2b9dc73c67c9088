'use strict';

// From a batch of the addon to 'message' and 'internalMessage' events: order, parking until somebody listens,
// and the moment in which a handle becomes an object and is taken.

const { forkwireError } = require('./errors');
const handles = require('./handles');
const { runNextTicks } = require('./node-internals');
const { decode, decodeJoined } = require('./serialization');

// Codes of Batch in src/binding/batch.h.
const HAS_HANDLE = 16;
const INTERNAL = 32;
const JOINED = 64;
const ENCODING = 15;

const FRAME_HEADER_SIZE = 16;

// fw_refused_reason_t
const REFUSED = { POLICY: 2, NO_LISTENER: 3, UNUSABLE: 4 };

class Inbox {
  #target;
  #native;
  #bookkeeping;
  #closeFd;
  #gates = new Map(); // handle id -> Gate of a socket whose sender is still writing
  #written = new Map(); // handle id -> whether that failed, of sockets that were not delivered yet
  #parked = []; // entries that wait, in order
  #isWaiting = false; // for the object of a handle to become usable
  #isScheduled = false; // a tick will deliver what is parked
  #isHolding = false; // END must wait for that tick
  #isDelivering = false; // what is parked, now

  /** @param closeFd closes a descriptor of which no object could be made */
  constructor(target, native, bookkeeping, closeFd) {
    this.#target = target;
    this.#native = native;
    this.#bookkeeping = bookkeeping;
    this.#closeFd = closeFd;
  }

  /** A batch, flat: code, value, cost [, handle] ... What came before something that cannot be decoded is
   * delivered; then `onBad(error)` is called. */
  receive(items, onBad) {
    const batch = [];
    try {
      this.#decode(items, batch);
    } catch (error) {
      onBad(error);
    }
    this.#deliverBatch(batch);
  }

  #decode(items, entries) {
    let run = 0;
    let i = 0;
    while (i < items.length) {
      const code = items[i++];
      const value = items[i++];
      const cost = items[i++];
      if (code & JOINED) {
        this.#decodeRun(value, code >> 8, run++, entries);
        continue;
      }
      const handle = code & HAS_HANDLE ? items[i++] : undefined;
      const message = decode(code & ENCODING, value);
      entries.push({ message, handle, cost, isInternal: (code & INTERNAL) !== 0 });
    }
  }

  #decodeRun(text, count, run, entries) {
    const sizes = () => this.#native.runSizes(run);
    const messages = decodeJoined(text, count, sizes);
    for (let i = 0; i < count; i++) {
      entries.push({ message: messages[i], run, index: i, isInternal: false });
    }
  }

  get #hasListener() {
    return this.#target.listenerCount('message') > 0;
  }

  #deliverBatch(batch) {
    let i = 0;
    try {
      while (i < batch.length) {
        if (i > 0) runNextTicks();
        this.#deliver(batch[i++]);
      }
    } finally {
      // A listener threw: the others are called in the next tick.
      if (i < batch.length) this.#parkRest(batch, i);
    }
  }

  #deliver(entry) {
    if (entry.isInternal) this.#emit('internalMessage', entry);
    else if (this.#parked.length > 0 || this.#isWaiting || !this.#hasListener) this.#park(entry);
    else this.#emit('message', entry);
  }

  #costOf(entry) {
    if (entry.cost === undefined) {
      entry.cost = this.#native.runSizes(entry.run)[entry.index] + FRAME_HEADER_SIZE;
    }
    return entry.cost;
  }

  #park(entry) {
    this.#native.park(1, this.#costOf(entry));
    this.#parked.push(entry);
  }

  #parkRest(batch, from) {
    for (const entry of batch.slice(from)) {
      if (entry.isInternal) process.nextTick(() => this.#emit('internalMessage', entry));
      else this.#park(entry);
    }
    this.#schedule(true);
  }

  /** A listener came, or something that was waited for: what is parked is delivered in the next tick. */
  #schedule(mustHold) {
    if (mustHold && !this.#isHolding) {
      this.#isHolding = true;
      this.#native.hold();
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => this.#deliverParked());
  }

  /** Any new listener may be one for 'message': it is added only after this event. */
  listenerAdded() {
    if (this.#parked.length > 0) this.#schedule(false);
  }

  #deliverParked() {
    this.#isScheduled = false;
    if (this.#isDelivering) return; // a tick between two messages: the loop below goes on with the next one
    this.#isDelivering = true;
    let count = 0;
    let cost = 0;
    try {
      while (count < this.#parked.length && !this.#isWaiting && this.#hasListener) {
        if (count > 0) runNextTicks();
        const entry = this.#parked[count++];
        cost += entry.cost;
        this.#emit('message', entry);
      }
    } finally {
      this.#isDelivering = false;
      this.#parked.splice(0, count);
      this.#native.deliver(count, cost);
      this.#afterDelivery();
    }
  }

  #afterDelivery() {
    const canGoOn = this.#parked.length > 0 && !this.#isWaiting && this.#hasListener;
    if (canGoOn) this.#schedule(true);
    if (this.#isHolding && !this.#isScheduled) {
      this.#isHolding = false;
      this.#native.release();
    }
  }

  #emit(event, { message, handle }) {
    if (handle === undefined) this.#target.emit(event, message, undefined);
    else if (event === 'message') this.#emitWithHandle(event, message, handle);
    else if (this.#target.listenerCount(event) > 0) this.#emitWithHandle(event, message, handle);
    else this.#native.refuse(handle.id, REFUSED.NO_LISTENER);
  }

  #emitWithHandle(event, message, info) {
    if (!handles.isKnown(info.type)) {
      this.#native.refuse(info.id, REFUSED.POLICY);
      return;
    }
    const fd = this.#native.adopt(info.id);
    if (fd < 0) return; // discarded: the channel ended meanwhile
    const isUser = event === 'message';
    let isReady = false;
    this.#isWaiting ||= isUser;
    info.holdWrites = (gate) => this.#holdWrites(info.id, gate);
    const ready = (object) => {
      isReady = true;
      this.#stopWaiting(isUser);
      this.#native.taken(info.id);
      this.#target.emit(event, message, object);
    };
    const failed = () => {
      this.#stopWaiting(isUser);
      this.#written.delete(info.id);
      this.#native.refuse(info.id, REFUSED.UNUSABLE);
    };
    try {
      handles.got(fd, info, this.#bookkeeping, ready, failed);
    } catch (error) {
      if (isReady) throw error; // a listener's
      this.#closeFd(fd);
      failed();
    }
  }

  #stopWaiting(isUser) {
    if (isUser) this.#isWaiting = false;
    if (this.#parked.length > 0) this.#schedule(true);
  }

  /** A socket came whose sender still has bytes to write: it waits for them. */
  #holdWrites(id, gate) {
    if (this.#written.has(id)) this.#openGate(gate, this.#written.get(id));
    else this.#gates.set(id, gate);
  }

  #openGate(gate, failed) {
    if (failed) gate.fail(forkwireError('ERR_FORKWIRE_WRITES_LOST'));
    else gate.open();
  }

  /** The sender of a socket is through with its writes. The socket itself may still be parked. */
  writesDone(id, failed) {
    const gate = this.#gates.get(id);
    if (gate) this.#openGate(gate, failed);
    else this.#written.set(id, failed);
    this.#gates.delete(id);
  }

  /** Nobody will say any more what became of the writes before those of our sockets. */
  giveUpWrites() {
    for (const gate of this.#gates.values()) this.#openGate(gate, true);
    this.#gates.clear();
  }

  /** The channel is over: what nobody took is dropped. */
  end() {
    this.#parked = [];
  }
}

module.exports = { Inbox };
