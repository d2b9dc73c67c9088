'use strict';

// One channel: everything that happens to it meets here; each part of it has a file of its own.

const { ClusterWorker, isOfCluster } = require('./cluster-handover');
const { Control } = require('./control');
const { Deliveries } = require('./deliveries');
const diagnostics = require('./diagnostics');
const { DISABLED_FOR_UNTRUSTED, disabledInAddon } = require('./features');
const errors = require('./errors');
const { Inbox } = require('./inbox');
const { load } = require('./loader');
const { DEFAULTS, refusedEncodings } = require('./limits');
const { checkMessage, mayBeInternal } = require('./messages');
const { countClose, isMainThread } = require('./node-internals');
const { Outbox } = require('./outbox');
const { nextTick, nodeProcess, setProperty } = require('./primordials');
const {
  JSON_TEXT,
  STRINGS,
  codecs,
  encodingOf,
  isInternalPayload,
  loadAdvanced,
  nodeCodecs,
} = require('./serialization');
const { STATE } = require('./state');

const LANE = { USER: 0, INTERNAL: 1 };
const OUTCOME = { TAKEN: 1, RETURNED: 2, CLOSED: 3 };
const EVENT = { SETTLED: 1, COUNTS: 2, WRITES_DONE: 3, LOST: 4, HELLO: 5, ENDING: 6, NACK: 7 };
const END = { OWN: 1, PEER: 2, DIED: 3, VIOLATION: 4 };

/** Characters of a JSON text that may hold strings which are better sent beside it. */
const LARGE_TEXT = 262_144;

/** The least length that a frame seems to have where text stands in its place: no frame is so long. */
const TEXT_FROM = 0x20000000;
const TEXT_HINT =
  "It looks like text: a program that uses channel.fd itself needs { channel: 'node' }";

let loadedHandles;

/** What handles need: most channels carry none. The file was read before: see spawn.js and loader.js. */
function loadHandles() {
  loadedHandles ??= load('./handle-traffic', module);
  return loadedHandles;
}

class Channel {
  #target;
  #native;
  #codec;
  #polls = null; // on stock Node's wire
  #protocol = null; // there as well
  #closeFd;
  #madeTraffic = null;
  #inbox;
  #longStrings = null; // of large messages
  #outbox;
  #clusterWorker;
  #sent = new Map(); // token -> { travel, message } of handles that are not settled
  #nextToken = 1;
  #peerPid = 0;
  #heardHello = false;
  #failure = null;
  isBehindWrapper = false;
  onClosed = () => {}; // nothing of it is left
  #isTelling = false; // the target's disconnect() is called, though it is not this end that ends it
  #isFinished = false;
  #isDisconnectTold = false;
  #end = 0; // of END
  #onFinished = null;
  #endsWithClose;
  #program; // that must say HELLO
  #limits;

  /**
   * @param binding the addon
   * @param target whose channel it is: a ChildProcess, or process
   * @param options see attach()
   * @param core a CoreChannel that this takes over from, and what it hands over; else null
   */
  constructor(binding, target, options, core = null, handed = null) {
    const { wire = 'native', reason, fd, serialization, trace, endsWithClose, program } = options;
    const { limits = DEFAULTS } = options;
    const isNative = wire === 'native';
    const state = core?.state ?? new Float64Array(STATE.SIZE);
    this.#target = target;
    this.#endsWithClose = endsWithClose;
    this.#program = program;
    this.#limits = limits;
    // Now, since a process that is short of descriptors later cannot load a file.
    if (serialization === 'advanced') loadAdvanced();
    this.#codec = (isNative ? codecs : nodeCodecs)[serialization];
    this.#closeFd = binding.closeFd;
    this.handler = this.#makeHandler(isNative);
    this.#native = core?.native ?? this.#open(binding, state, { ...options, limits, isNative });
    if (!isNative) this.#speakToNode(serialization);
    const interpret = isNative ? undefined : (entry) => this.#protocol.interpret(entry);
    this.#clusterWorker = new ClusterWorker(target);
    this.#inbox = new Inbox(
      target,
      this.#native,
      core?.deliveries ?? new Deliveries(this.#native, state),
      () => this.#traffic.arrivals,
      this.#clusterWorker,
      interpret,
    );
    const onRoom = () => this.#onProgress();
    this.#outbox = new Outbox(this.#native, state, onRoom, () => this.pid);
    this.control = core?.control ?? new Control(this.#native, wire, reason);
    if (reason) diagnostics.log(`${trace} fd ${fd} on stock Node's wire: ${reason}`);
    if (handed) this.#takeOver(handed);
    else target.on('newListener', () => this.listenerAdded());
  }

  /** Goes on with what a CoreChannel began. @param handed see there */
  static takingOver(core, handed) {
    const { target, endsWithClose } = handed;
    const options = { serialization: 'json', endsWithClose };
    const channel = new Channel(core.binding, target, options, core, handed);
    channel.onClosed = () => core.onClosed();
    return channel;
  }

  #takeOver(handed) {
    this.#isTelling = handed.isTelling;
    this.#isFinished = handed.isFinished;
    this.#isDisconnectTold = handed.isDisconnectTold;
    this.#end = handed.end;
    this.#onFinished = handed.onFinished;
    this.#heardHello = handed.heardHello;
    this.#peerPid = handed.peerPid;
    this.#inbox.takeOver(handed.arrived);
    this.#outbox.takeOver(handed.nAccepted, handed.needsDrain);
  }

  /** The descriptor is closed where no channel can be made of it. */
  #open(binding, state, { isNative, fd, serialization, limits, trace }) {
    const options = {
      ...limits,
      wire: 0, // FW_WIRE_NATIVE
      ...(isNative ? {} : load('./node-protocol', module).nodeWireOptions(serialization)),
      refusedEncodings: refusedEncodings(serialization),
      endStall: 0,
      ownsHandles: isMainThread() ? 0 : 1,
      disabled: disabledInAddon() | (limits.isUntrusted ? DISABLED_FOR_UNTRUSTED : 0),
      trace: diagnostics.isTracing ? trace : '',
    };
    try {
      return new binding.Channel(fd, this.handler, state, options);
    } catch (error) {
      this.#closeFd(fd);
      throw error;
    }
  }

  /** What carries handles, from the first one on. */
  get #traffic() {
    this.#madeTraffic ??= this.#makeTraffic();
    return this.#madeTraffic;
  }

  #makeTraffic() {
    const makeError = (code) => this.#error(code);
    const { HandleTraffic } = loadHandles();
    return new HandleTraffic(this.#target, this.#native, this.#closeFd, makeError, this.#polls);
  }

  #speakToNode(serialization) {
    const { NodePolls } = load('./node-polls', module);
    const { NodeProtocol } = load('./node-protocol', module);
    const send = (message) => this.send(message, undefined, { swallowErrors: true });
    const canAsk = () => this.#target.connected;
    const canAnswer = () => this.#target.connected && !this.#outbox.isStuck;
    this.#polls = new NodePolls(send, canAsk, canAnswer);
    const received = (key) => this.#madeTraffic?.bookkeeping.received(key);
    this.#protocol = new NodeProtocol(this.#native, serialization, this.#polls, received, () =>
      this.#onLost(),
    );
  }

  /** What the addon calls, in the async context in which the channel was made. */
  #makeHandler(isNative) {
    return {
      // On stock Node's wire a message may be the channel's own.
      ...(isNative && { onMessage: (text, cost) => this.#onMessage(text, cost) }),
      onItems: (...items) => this.#inbox.keep(items),
      onBatch: (events, ...items) => this.#onBatch(events, items),
      onProgress: () => this.#onProgress(),
      onTurnWithin: () => this.#onTurnWithin(),
      onEnd: (end) => this.#onEnd(end),
      onClosed: () => {
        this.onClosed();
        this.#madeTraffic?.arrivals.giveUpWrites();
      },
    };
  }

  // ------------------------------------------ for a CoreChannel that this took over from

  listenerAdded() {
    this.#inbox.listenerAdded();
  }

  /** The tick of a message that arrived there. */
  deliverArrived() {
    this.#inbox.runArrivedTick();
  }

  deliverInTicks() {
    this.#inbox.deliverInTicks();
  }

  /** The first tick behind a send() there. */
  settle(request) {
    this.#outbox.settle(request);
  }

  /** The target's disconnect() was called there, and returned. */
  told() {
    this.#isTelling = false;
  }

  finish(end) {
    this.#finish(end);
  }

  tellDisconnect() {
    this.#stopCounting();
    this.#tellDisconnect();
  }

  // ------------------------------------------------------------------ what others ask

  /** Whether it keeps the process alive. */
  get isHolding() {
    return this.#native.hasRef();
  }

  /** A child's channel does not keep it alive by itself. */
  unreferenceUntilCounted() {
    this.#native.referenced(false);
  }

  /** The peer's pid by the kernel's word, also after the end; 0 before its HELLO, and when it is not known. */
  get peerPid() {
    return this.#peerPid;
  }

  /** Whether the peer should have said HELLO by its end, did not, and nobody was told. */
  get owesHello() {
    const { protocol } = this.control;
    const isTold = this.#failure !== null || this.#end === END.OWN;
    return protocol === 'native' && !this.#heardHello && !isTold && !this.#target.killed;
  }

  // ---------------------------------------------------------------- sending

  /** As target._send(): without a look at `connected`. */
  send(message, sendHandle, options, callback) {
    checkMessage(message);
    const isQuiet = Boolean(options.swallowErrors);
    const conversion = sendHandle ? loadHandles().conversionOf(sendHandle) : null;
    // A toJSON() may do anything, also to the handle: only then it is looked at.
    const parts = this.#longStrings?.bodyOf(message) ?? null;
    const payload = parts ?? this.#codec.payloadOf(message);
    const encoding = parts === null ? encodingOf(message, payload) : STRINGS;
    const sending = { message, conversion, sendHandle, options, isQuiet, callback };
    return this.#sendPayload(encoding, payload, sending);
  }

  /** As send(), of what JSON.stringify() gave for `message`. */
  sendText(message, text, isQuiet, callback) {
    if (text === undefined) throw errors.forkwireError('ERR_FORKWIRE_EMPTY_MESSAGE');
    const sending = { message, conversion: null, options: {}, isQuiet, callback };
    return this.#sendPayload(JSON_TEXT, text, sending);
  }

  /** The addon accepted it, and there may be more to say. */
  acceptedText(message, isQuiet, callback) {
    this.#accepted(LANE.USER, message, null, isQuiet, callback);
    return this.#outbox.hasRoom();
  }

  #sendPayload(encoding, payload, sending) {
    const { message, conversion, isQuiet, callback } = sending;
    const isInternal = mayBeInternal(message) && isInternalPayload(encoding, payload);
    const lane = isInternal ? LANE.INTERNAL : LANE.USER;
    const isText = encoding === JSON_TEXT && lane === LANE.USER && !conversion;
    if (isText) {
      const status = this.#native.sendText(payload);
      if (status >= 0) this.#accepted(lane, message, null, isQuiet, callback);
      else this.#refused(status, message, isQuiet, callback);
    } else {
      this.#sendAlone(lane, encoding, payload, sending);
    }
    if (encoding === JSON_TEXT && payload.length >= LARGE_TEXT) this.#sentLarge();
    return this.#outbox.hasRoom();
  }

  /** Where a channel has shown that it sends large texts, their long strings go beside them from then on. */
  #sentLarge() {
    if (this.#protocol !== null || this.#codec !== codecs.json) return;
    if (this.#longStrings === null) {
      const { LongStrings } = load('./long-strings', module);
      this.#longStrings = new LongStrings(this.#native);
    }
    this.#longStrings.sentLarge();
  }

  #sendAlone(lane, encoding, payload, sending) {
    const { message, conversion, sendHandle, options, isQuiet, callback } = sending;
    const travel = conversion ? this.#travelOf(conversion, sendHandle, options) : null;
    if (travel?.isGone) {
      this.#notSent(lane, callback);
      return;
    }
    if (lane === LANE.INTERNAL && this.#clusterWorker.ends(message)) this.#native.finish();
    const status = travel
      ? this.#sendWith(travel, lane, encoding, payload, conversion)
      : this.#native.send(lane, encoding, payload);
    if (status >= 0) {
      this.#accepted(lane, message, travel, isQuiet, callback);
      if (lane === LANE.INTERNAL) this.#clusterWorker.sent(message, sendHandle);
    } else {
      travel?.undo?.();
      if (lane === LANE.USER || !this.#clusterWorker.refused(message, sendHandle))
        this.#refused(status, message, isQuiet, callback);
    }
  }

  #sendWith(travel, lane, encoding, payload, { name }) {
    const { fd, dup, token, type, flags, key, buffered } = travel;
    try {
      const body = this.#protocol === null ? payload : this.#protocol.wrap(payload, name, travel);
      return this.#native.send(lane, encoding, body, fd, dup, token, type, flags, key, buffered);
    } catch (error) {
      travel.undo?.();
      throw error;
    }
  }

  #travelOf(conversion, sendHandle, options) {
    const token = this.#nextToken++;
    const onWritten = (error) => this.#native.writesDone(token, error !== null);
    const travel = conversion.send(sendHandle, options, this.#traffic.bookkeeping, onWritten);
    if (travel && !travel.isGone) travel.token = token;
    return travel;
  }

  /** The client of a socket is gone already: told as where it goes while its socket is queued. */
  #notSent(lane, callback) {
    const error = this.#error('ERR_FORKWIRE_HANDLE_CLOSED');
    if (typeof callback === 'function') this.#outbox.addFailed(lane, callback, error);
    else this.#emitErrorIfHeard(error);
  }

  #accepted(lane, message, travel, isQuiet, callback) {
    const hasCallback = typeof callback === 'function';
    if (travel) this.#sent.set(travel.token, { travel, message, lane, hasCallback });
    this.#outbox.add(lane, callback, travel?.token);
    travel?.detach();
    if (!hasCallback && this.#outbox.isBroken)
      this.#complain(this.#outbox.brokenPipe(), message, isQuiet);
  }

  #refused(status, message, isQuiet, callback) {
    const error = this.#refusal(status);
    if (error.code === 'ERR_FORKWIRE_MESSAGE_TOO_LARGE') throw error;
    if (isQuiet) return;
    if (typeof callback === 'function') nextTick(callback, error);
    else this.#complain(error, message, isQuiet);
  }

  #refusal(status) {
    const { maxMessageSize, maxQueueBytes } = this.#limits;
    const size = this.#native.lastSize();
    if (errors.isErrno(status, 'EMSGSIZE')) return this.#tooLarge({ size, maxMessageSize });
    if (!errors.isErrno(status, 'ENOBUFS')) {
      return errors.withPid(errors.errnoError(status, 'write'), this.pid);
    }
    const numbers = { size, queued: this.#outbox.queued, maxQueueBytes };
    return this.#error('ERR_FORKWIRE_QUEUE_FULL', numbers, numbers);
  }

  #tooLarge(numbers) {
    return this.#error('ERR_FORKWIRE_MESSAGE_TOO_LARGE', numbers, numbers);
  }

  /** A message without a callback is lost. What the cluster module sends to a process that is dying is its own business, and
   * may not end this one, where nobody listens for it: it hears 'disconnect'. */
  #complain(error, message, isQuiet) {
    const isToDying = error.code === 'EPIPE' && isOfCluster(message);
    if (!isQuiet && !isToDying) this.#emitErrorLater(error);
  }

  #emitErrorLater(error) {
    nextTick(() => this.#target.emit('error', error));
  }

  // -------------------------------------------------------------- receiving

  /** A message that came alone, in an async context of its own. */
  #onMessage(text, cost) {
    this.#onProgress();
    if (this.#inbox.deliverText(text, cost)) return;
    this.#inbox.receive([JSON_TEXT, text, cost], this.#onBadMessage);
    this.#inbox.deliverInTicks();
  }

  /** What one read brought: what the peer says of handles and counts first, so that no message is ahead of it. */
  #onBatch(events, items) {
    // First, though it is delivered last: a listener of an event may have the loop turn, and more is read.
    this.#inbox.receive(items, this.#onBadMessage);
    if (events) this.#applyEvents(events);
    this.#onProgress();
    this.#inbox.deliverInTicks();
  }

  /** A listener has the loop turn: what it may wait for does not wait until it returns. */
  #onTurnWithin() {
    this.#inbox.turnWithin();
  }

  #onBadMessage = (cause) => {
    this.#failure = this.#error('ERR_FORKWIRE_BAD_MESSAGE', cause.message, { cause });
    this.#native.rejectMessage();
  };

  #applyEvents(events) {
    for (let i = 0; i < events.length; i += 4) {
      try {
        this.#applyEvent(events[i], events[i + 1], events[i + 2]);
      } catch (error) {
        nextTick(rethrow, error); // of a method that the program replaced: the others come all the same
      }
    }
  }

  #applyEvent(type, a, b) {
    if (type === EVENT.SETTLED) this.#onSettled(a, b);
    else if (type === EVENT.COUNTS) this.#madeTraffic?.bookkeeping.closedThere(a, b);
    else if (type === EVENT.WRITES_DONE) this.#traffic.arrivals.writesDone(a, b !== 0);
    else if (type === EVENT.LOST) this.#onLost(a);
    else if (type === EVENT.HELLO) this.#onHello(a);
    else if (type === EVENT.NACK) this.#protocol.onNack(b);
    // Before 'undelivered': what is sent to this target there would not go anywhere.
    else if (type === EVENT.ENDING) this.#disconnectTarget();
  }

  #onSettled(token, outcome) {
    const sent = this.#sent.get(token);
    if (sent === undefined) return;
    const { travel, message, lane, hasCallback } = sent;
    this.#sent.delete(token);
    if (outcome === OUTCOME.TAKEN) travel.taken();
    else if (outcome === OUTCOME.CLOSED) this.#wasReset(travel, hasCallback);
    else nextTick(() => this.#returned(travel, message, lane)); // a listener that throws stops no other
  }

  /** A client went away before its socket left. Its sender hears of it, but a client must not be able to end a
   * process that does not listen for errors. */
  #wasReset(travel, hasCallback) {
    const error = this.#error('ERR_FORKWIRE_HANDLE_CLOSED');
    travel.returned(false);
    if (hasCallback) this.#outbox.fail(travel.token, error);
    else this.#emitErrorIfHeard(error);
  }

  #emitErrorIfHeard(error) {
    if (this.#target.listenerCount('error') > 0) this.#emitErrorLater(error);
  }

  /** A handle that nobody took and nobody will. */
  #returned(travel, message, lane) {
    if (lane === LANE.INTERNAL && isOfCluster(message)) {
      travel.returned(false);
      this.#clusterWorker.returned(message);
      return;
    }
    const isWanted = !this.#isFinished && this.#target.listenerCount('undelivered') > 0;
    const object = travel.returned(isWanted);
    if (isWanted) this.#target.emit('undelivered', message, object);
  }

  /** A peer behind a wrapper is not the child whose exit Node reports. */
  #onHello(pid) {
    this.#peerPid = pid;
    this.#heardHello = true;
    if (this.#target === nodeProcess || pid === 0 || pid === this.#target.pid) return;
    this.isBehindWrapper = this.#native.watchPeer() === 0;
  }

  #onLost() {
    diagnostics.warn(this.#error('ERR_FORKWIRE_HANDLE_LOST'));
  }

  /** The peer's; where it said no HELLO, that of the process which was started, or which started this one. */
  get pid() {
    return this.#peerPid || (this.#target === nodeProcess ? nodeProcess.ppid : this.#target.pid);
  }

  #error(code, argument, details) {
    return errors.forkwireError(code, argument, { pid: this.pid, ...details });
  }

  #onProgress() {
    if (this.#outbox.progress()) nextTick(() => this.#target.emit('drain'));
  }

  // ------------------------------------------------------------------- ends

  /**
   * The channel ends, and not because this end wants it: as in stock through the target's disconnect(), which a program may
   * have replaced.
   */
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
    }
    setProperty(target, 'connected', false);
  }

  /**
   * Flushes, then says END; delivers nothing any more. 'disconnect' comes with the next tick, as in stock, also where bytes
   * are still to leave. It waits only for handles: those that are out, since 'undelivered' is before it, and those that are
   * here.
   */
  disconnect() {
    if (this.#isTelling) return;
    this.#inbox.dropParked();
    setProperty(this.#target, 'channel', null);
    if (this.#native.end()) nextTick(() => this.#finish(END.OWN));
    else if (this.#sent.size === 0 && !this.#inbox.hasHandles)
      nextTick(() => {
        this.#stopCounting();
        this.#tellDisconnect();
      });
  }

  /** The peer's process is known to be dead: delivers what it sent, then ends and calls back. Whoever else holds its end of
   * the channel holds nothing of ours any more, also if ours was told before. */
  peerDied(callback) {
    if (this.#isFinished) callback();
    else this.#onFinished = callback;
    this.#native.peerDied();
  }

  #onEnd(end) {
    if (end === END.VIOLATION) this.#failure ??= this.#violation();
    const { pid } = this.#target;
    if (end === END.DIED && this.#program && pid && this.owesHello) {
      this.#failure = errors.missingHello(pid, this.#program);
    }
    nextTick(() => this.#finish(end)); // behind 'undelivered'
  }

  #violation() {
    const { rule, kind, code, offset, detail } = this.#native.violation();
    if (rule === 'version') return this.#error('ERR_FORKWIRE_VERSION');
    if (rule === 'too-large') {
      return this.#tooLarge({ maxMessageSize: this.#limits.maxMessageSize });
    }
    const name = kind === '?' ? `unknown (${code})` : kind;
    const details = kind === '?' && detail >= TEXT_FROM ? { hint: TEXT_HINT } : {};
    const what = `${name} frame at byte ${offset}: ${rule}`;
    return this.#error('ERR_FORKWIRE_PROTOCOL', what, details);
  }

  #finish(end) {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#end = end;
    const target = this.#target;
    if (end !== END.OWN) this.#disconnectTarget();
    setProperty(target, 'connected', false);
    setProperty(target, 'channel', null);
    this.#inbox.end(end === END.OWN);
    this.#stopCounting();
    this.#outbox.end(end === END.DIED || end === END.VIOLATION);
    this.#runSteps(this.#lastSteps());
  }

  /** What the peer holds counts for nothing any more: nobody is told of it. */
  #stopCounting() {
    this.#polls?.end();
    this.#madeTraffic?.bookkeeping.end();
  }

  /** What is to be told at the end, in order. */
  #lastSteps() {
    const target = this.#target;
    const steps = [() => this.#tellDisconnect()]; // nothing where it was told before
    if (this.#endsWithClose) steps.push(() => countClose(target));
    if (this.#endsWithClose && !target.pid) steps.reverse(); // stock's order where spawn failed
    if (this.#failure) steps.unshift(() => diagnostics.report(target, this.#failure));
    if (this.#onFinished) steps.push(this.#onFinished);
    return steps;
  }

  /** cluster's primary removes its worker in a listener of its own, and then takes back what that did not answer. */
  #tellDisconnect() {
    if (this.#isDisconnectTold) return;
    this.#isDisconnectTold = true;
    try {
      this.#target.emit('disconnect');
    } finally {
      this.#clusterWorker.ended();
    }
  }

  /** The first now, each other in a tick of its own: a listener that throws stops none. */
  #runSteps([first, ...others]) {
    for (const step of others) nextTick(step);
    first();
  }
}

/** An uncaught exception. */
function rethrow(error) {
  throw error;
}

module.exports = { Channel };
