'use strict';

// What most channels do and no more: JSON messages both ways on the native wire, with the default
// limits. A process loads no more of a channel before its first message. The first thing that is not
// here (a handle, an internal message, one that nobody listens for) has the whole Channel take over,
// on the same channel of the addon: see promote(). Nobody sees the difference.

const { Control } = require('./control');
const { Deliveries } = require('./deliveries');
const { load } = require('./loader');
const { JSONParse, JSONStringify, nextTick, nodeProcess, setProperty } = require('./primordials');
const { STATE } = require('./state');

const HIGH_WATER_MARK = 131072; // bytes, as in lib/outbox.js
const LOW_WATER_MARK = HIGH_WATER_MARK / 2;
const LONG_STRING = 1024; // characters; longer ones travel as they are
const LARGE_TEXT = 262_144; // characters
const INTERNAL_MARK = '"cmd":"NODE_'; // somewhere in the text of every internal message

// Of the addon, as in src/binding/batch.h.
const JSON_TEXT = 1;
const JOINED = 64;
const EVENT = { HELLO: 5, ENDING: 6 };
const EVENT_SIZE = 4;
const END = { OWN: 1, DIED: 3, VIOLATION: 4 };

const OPTIONS = {
  maxMessageSize: 2 ** 30,
  maxQueueBytes: 0,
  creditBytes: 2 ** 24,
  creditHandles: 512,
  exitStall: 500,
  exitTotal: 5000,
  refusedTypes: 0,
  isUntrusted: false,
  lowLatency: 0,
  wire: 0, // FW_WIRE_NATIVE
  refusedEncodings: (1 << 5) | (1 << 6) | (1 << 7), // what only 'advanced' writes
  endStall: 0,
  ownsHandles: 0,
  disabled: 0,
  trace: '',
};

const isInternal = (message) =>
  message !== null &&
  typeof message === 'object' &&
  typeof message.cmd === 'string' &&
  message.cmd.startsWith('NODE_');

/** Whether send() is done with here, as far as its message is concerned. */
function isUsual(message) {
  switch (typeof message) {
    case 'object':
    case 'number':
    case 'boolean':
      return true;
    case 'string':
      return message.length <= LONG_STRING;
  }
  return false;
}

class CoreChannel {
  #whole = null; // the Channel that took over
  #target;
  #endsWithClose;
  #arrived = []; // message, cost, ... of those whose tick is to come
  #at = 0; // the first of them
  #unscheduled = 0;
  #needsDrain = false;
  #nAccepted = 0; // messages
  #nCallbacks = 0; // of send(), that are due in a tick
  #isTelling = false;
  #isFinished = false;
  #isDisconnectTold = false;
  #end = 0;
  #onFinished = null;
  #heardHello = false;
  #peerPid = 0;
  onClosed = () => {}; // nothing of it is left

  /** As for Channel, of which options that are not the default are the business. */
  constructor(binding, target, { fd, endsWithClose }) {
    this.binding = binding;
    this.#target = target;
    this.#endsWithClose = endsWithClose;
    this.state = new Float64Array(STATE.SIZE);
    this.native = this.#open(fd);
    this.deliveries = new Deliveries(this.native, this.state);
    this.control = new Control(this.native, 'native');
    target.on('newListener', () => this.#whole?.listenerAdded());
  }

  /** The descriptor is closed where no channel can be made of it. */
  #open(fd) {
    const handler = {
      onMessage: (text, cost) => this.#onMessage(text, cost),
      onItems: (...items) => this.promote().handler.onItems(...items),
      onBatch: (events, ...items) => this.#onBatch(events, items),
      onProgress: () => this.#onProgress(),
      onTurnWithin: () => this.promote().handler.onTurnWithin(),
      onEnd: (end) => this.#onEnd(end),
      onClosed: () => this.onClosed(),
    };
    try {
      return new this.binding.Channel(fd, handler, this.state, OPTIONS);
    } catch (error) {
      this.binding.closeFd(fd);
      throw error;
    }
  }

  /** Has the whole Channel go on with everything from here. */
  promote() {
    if (this.#whole === null) {
      const { Channel } = load('./channel', module);
      this.#whole = Channel.takingOver(this, this.#handOver());
      this.native.setHandler(this.#whole.handler);
    }
    return this.#whole;
  }

  #handOver() {
    return {
      target: this.#target,
      endsWithClose: this.#endsWithClose,
      arrived: this.#arrived.slice(this.#at),
      nAccepted: this.#nAccepted,
      needsDrain: this.#needsDrain,
      isTelling: this.#isTelling,
      isFinished: this.#isFinished,
      isDisconnectTold: this.#isDisconnectTold,
      end: this.#end,
      onFinished: this.#onFinished,
      heardHello: this.#heardHello,
      peerPid: this.#peerPid,
    };
  }

  // ------------------------------------------------------- as of Channel, which see

  get isHolding() {
    return this.native.hasRef();
  }

  unreferenceUntilCounted() {
    this.native.referenced(false);
  }

  get peerPid() {
    return this.#whole?.peerPid ?? this.#peerPid;
  }

  get pid() {
    return this.peerPid || (this.#target === nodeProcess ? nodeProcess.ppid : this.#target.pid);
  }

  get isBehindWrapper() {
    return this.#whole?.isBehindWrapper ?? false;
  }

  get owesHello() {
    if (this.#whole !== null) return this.#whole.owesHello;
    return !this.#heardHello && this.#end !== END.OWN && !this.#target.killed;
  }

  // ---------------------------------------------------------------- sending

  send(message, sendHandle, options, callback) {
    if (this.#whole !== null) return this.#whole.send(message, sendHandle, options, callback);
    if (sendHandle || !isUsual(message))
      return this.promote().send(message, sendHandle, options, callback);
    const isQuiet = Boolean(options.swallowErrors);
    const text = JSONStringify(message); // which may run anything of the program's
    if (this.#whole !== null || !this.#isSent(text))
      return this.promote().sendText(message, text, isQuiet, callback);
    if (this.state[STATE.BROKEN] !== 0)
      return this.promote().acceptedText(message, isQuiet, callback);
    this.#nAccepted++;
    if (typeof callback === 'function') this.#settleSoon(callback);
    return this.#hasRoom();
  }

  /** Whether it was of the usual kind, and accepted, and there is nothing to be said of it. */
  #isSent(text) {
    const isPlain = text !== undefined && text.length < LARGE_TEXT && !text.includes(INTERNAL_MARK);
    if (!isPlain || this.state[STATE.BROKEN] !== 0) return false;
    return this.native.sendText(text) >= 0;
  }

  #hasRoom() {
    if (this.state[STATE.QUEUED] < HIGH_WATER_MARK) return true;
    this.#needsDrain = true;
    this.state[STATE.WAITS] = 1;
    return false;
  }

  #settleSoon(callback) {
    this.#nCallbacks++;
    const token = undefined;
    const request = {
      lane: 0,
      number: this.#nAccepted,
      callback,
      token,
      error: null,
      resource: null,
    };
    nextTick(settleInTick, this, request);
  }

  /** In the first tick after send(), as Outbox does it. */
  settle(request) {
    this.#nCallbacks--;
    if (this.#whole === null && this.state[STATE.WRITTEN] < request.number) this.native.flush();
    const isWritten = this.state[STATE.WRITTEN] >= request.number;
    const { callback } = request;
    if (this.#whole === null && isWritten) callback(null);
    else this.promote().settle(request);
  }

  #onProgress() {
    if (!this.#needsDrain || this.state[STATE.QUEUED] > LOW_WATER_MARK) return;
    this.#needsDrain = false;
    this.state[STATE.WAITS] = 0;
    nextTick(() => this.#target.emit('drain'));
  }

  // -------------------------------------------------------------- receiving

  get #canDeliver() {
    return this.#target.listenerCount('message') > 0;
  }

  #onMessage(text, cost) {
    const isFirst = this.deliveries.ticks === 0 && this.#canDeliver;
    const messages = isFirst ? parsedOne(text) : null;
    if (messages === null) {
      this.promote().handler.onMessage(text, cost);
      return;
    }
    this.#onProgress();
    this.deliveries.running++;
    try {
      this.#deliver(messages[0], cost);
    } finally {
      this.deliveries.running--;
    }
  }

  #deliver(message, cost) {
    this.deliveries.delivered(0, cost);
    this.#target.emit('message', message, undefined);
  }

  #onBatch(events, items) {
    if (!isUsualEvents(events, this.#target) || !this.#take(items)) {
      this.promote().handler.onBatch(events, ...items);
      return;
    }
    if (events) this.#applyEvents(events);
    this.#onProgress();
    if (this.#whole !== null) this.#whole.deliverInTicks();
    else this.#deliverInTicks();
  }

  /** Whether all of them are of the usual kind; else none is taken. */
  #take(items) {
    const arrived = [];
    for (let i = 0; i < items.length; i += 3) {
      const messages = messagesOf(items[i], items[i + 1]);
      if (messages === null) return false;
      let left = items[i + 2];
      const share = Math.floor(left / messages.length);
      for (let j = 0; j < messages.length; j++) {
        const cost = j === messages.length - 1 ? left : share;
        left -= cost;
        arrived.push(messages[j], cost);
      }
    }
    for (let i = 0; i < arrived.length; i++) this.#arrived.push(arrived[i]);
    this.#unscheduled += arrived.length / 2;
    return true;
  }

  #applyEvents(events) {
    for (let i = 0; i < events.length; i += EVENT_SIZE) {
      if (events[i] === EVENT.ENDING) {
        this.#disconnectTarget();
        continue;
      }
      this.#heardHello = true;
      this.#peerPid = events[i + 1];
    }
  }

  #deliverInTicks() {
    const count = this.#unscheduled;
    if (count === 0) return;
    this.#unscheduled = 0;
    this.deliveries.schedule(count);
    for (let i = 0; i < count; i++) nextTick(deliverInTick, this);
  }

  /** The tick of one message. */
  deliverArrived() {
    if (this.#whole !== null || !this.#canDeliver) {
      this.promote().deliverArrived();
      return;
    }
    this.deliveries.beginTick();
    try {
      if (this.#at < this.#arrived.length) this.#deliverFirst();
    } finally {
      this.deliveries.endTick();
    }
  }

  #deliverFirst() {
    const message = this.#arrived[this.#at++];
    const cost = this.#arrived[this.#at++];
    if (this.#at === this.#arrived.length) this.#forgetArrived();
    this.#deliver(message, cost);
  }

  #forgetArrived() {
    this.#arrived = [];
    this.#at = 0;
  }

  // ------------------------------------------------------------------- ends

  #disconnectTarget() {
    const target = this.#target;
    if (!target.connected) return;
    this.#isTelling = true;
    try {
      target.disconnect();
    } catch (error) {
      nextTick(rethrow, error);
    } finally {
      this.#isTelling = false;
      this.#whole?.told();
    }
    setProperty(target, 'connected', false);
  }

  disconnect() {
    if (this.#whole !== null) {
      this.#whole.disconnect();
      return;
    }
    if (this.#isTelling) return;
    setProperty(this.#target, 'channel', null);
    if (this.native.end()) nextTick(() => this.#finish(END.OWN));
    else nextTick(() => this.#tellDisconnect());
  }

  peerDied(callback) {
    if (this.#whole !== null) {
      this.#whole.peerDied(callback);
      return;
    }
    if (this.#isFinished) callback();
    else this.#onFinished = callback;
    this.native.peerDied();
  }

  #onEnd(end) {
    if (end === END.VIOLATION) this.promote().handler.onEnd(end);
    else nextTick(() => this.#finish(end));
  }

  #finish(end) {
    const isMore = this.#nCallbacks > 0 || (end !== END.OWN && this.#at < this.#arrived.length);
    if (this.#whole !== null || isMore) {
      this.promote().finish(end);
      return;
    }
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#end = end;
    if (end !== END.OWN) this.#disconnectTarget();
    setProperty(this.#target, 'connected', false);
    setProperty(this.#target, 'channel', null);
    this.#forgetArrived();
    const [first, ...others] = this.#lastSteps();
    for (const step of others) nextTick(step);
    first();
  }

  #lastSteps() {
    const target = this.#target;
    const steps = [() => this.#tellDisconnect()];
    if (this.#endsWithClose) {
      const { countClose } = load('./node-internals', module);
      steps.push(() => countClose(target));
      if (!target.pid) steps.reverse(); // stock's order where spawn failed
    }
    if (this.#onFinished) steps.push(this.#onFinished);
    return steps;
  }

  #tellDisconnect() {
    if (this.#whole !== null) {
      this.#whole.tellDisconnect();
      return;
    }
    if (this.#isDisconnectTold) return;
    this.#isDisconnectTold = true;
    this.#target.emit('disconnect');
  }
}

/** An array of `count` messages for listeners, or null where the text is anything else. */
function parsedRun(text, count) {
  try {
    const messages = JSONParse(text);
    return messages.length === count && !messages.some(isInternal) ? messages : null;
  } catch {
    return null;
  }
}

/** The same of the text of one, which may be as long as a string can be. */
function parsedOne(text) {
  try {
    const message = JSONParse(text);
    return isInternal(message) ? null : [message];
  } catch {
    return null;
  }
}

/** The messages of an item, or null where they are not the usual. */
function messagesOf(code, value) {
  if (code & JOINED && code < 2 ** 31) return parsedRun(value, code >> 8);
  return code === JSON_TEXT ? parsedOne(value) : null;
}

/** Whether they are but the peer's HELLO, from the very child, and its END. */
function isUsualEvents(events, { pid }) {
  if (!events) return true;
  for (let i = 0; i < events.length; i += EVENT_SIZE) {
    const isExpected = events[i + 1] === pid || pid === nodeProcess.pid;
    if (events[i] !== EVENT.ENDING && !(events[i] === EVENT.HELLO && isExpected)) return false;
  }
  return true;
}

function deliverInTick(channel) {
  channel.deliverArrived();
}

function settleInTick(channel, request) {
  channel.settle(request);
}

/** An uncaught exception. */
function rethrow(error) {
  throw error;
}

module.exports = { CoreChannel };
