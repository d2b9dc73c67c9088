'use strict';

// send()'s callbacks: each is called once, in the async context of its send(), with null when the kernel took
// the whole message and with an error when it will not.

const { AsyncResource } = require('node:async_hooks');
const { errnoError, errnoOf, nodeError, withPid } = require('./errors');
const { Fifo } = require('./fifo');
const { nextTick } = require('./primordials');
const { STATE } = require('./state');

const HIGH_WATER_MARK = 131072; // bytes, as in stock
const LOW_WATER_MARK = HIGH_WATER_MARK / 2;
const STUCK_MARK = 64 * HIGH_WATER_MARK;
const NONE = -1;

const withWaiting = new Set(); // outboxes whose callbacks wait

class Outbox {
  #native;
  #state;
  #onRoom;
  #pid;
  #sent = [0, 0]; // messages per lane
  #waiting = [new Fifo(), new Fifo()]; // per lane: { lane, number, callback, token, error, resource }
  #failed = new Map(); // token -> error, of messages dropped with their handle
  #isOver = null; // the error for what is not written, once nothing is any more
  #needsDrain = false;
  #behindHandle = NONE; // messages of this tick behind one with a handle

  /**
   * @param state Float64Array that `native` writes to
   * @param onRoom called when progress() may find that 'drain' is due
   * @param pid () => the peer's
   */
  constructor(native, state, onRoom, pid) {
    this.#pid = pid;
    this.#onRoom = onRoom;
    this.#native = native;
    this.#state = state;
  }

  /** Whether so little is queued that send() returns true: fewer bytes than the mark and, as in stock, at most one message
   * behind a handle that had no time to leave. Remembers that 'drain' is due. */
  hasRoom() {
    const size = this.#state[STATE.QUEUED];
    if (size < HIGH_WATER_MARK && this.#behindHandle <= 1) return true;
    this.#needsDrain = true;
    this.#state[STATE.WAITS] = 1;
    return false;
  }

  /** Whether so much is queued that the peer must be said not to read. */
  get isStuck() {
    return this.#state[STATE.QUEUED] >= STUCK_MARK;
  }

  /** Bytes that wait to be written. */
  get queued() {
    return this.#state[STATE.QUEUED];
  }

  /** The peer does not read any more: what is sent from now on is lost. */
  get isBroken() {
    return this.#state[STATE.BROKEN] !== 0;
  }

  /** What becomes of that. */
  brokenPipe() {
    return withPid(errnoError(errnoOf('EPIPE'), 'write'), this.#pid());
  }

  /** Messages were accepted on the user's lane before this was made. */
  takeOver(count, needsDrain) {
    this.#sent[0] = count;
    this.#needsDrain = needsDrain;
  }

  /** A message was accepted. `token` is its handle's, if it has one. */
  add(lane, callback, token) {
    const number = ++this.#sent[lane];
    if (this.#behindHandle !== NONE) this.#behindHandle++;
    else if (token !== undefined) this.#beginHandle();
    if (typeof callback === 'function') this.#settleSoon(lane, number, callback, token, null);
  }

  /** A message is not sent. Its callback gets `error`, behind those of the messages before it. */
  addFailed(lane, callback, error) {
    this.#settleSoon(lane, this.#sent[lane], callback, undefined, error);
  }

  #settleSoon(lane, number, callback, token, error) {
    const request = { lane, number, callback, token, error, resource: null };
    nextTick(settleInTick, this, request);
  }

  #beginHandle() {
    this.#behindHandle = 0;
    nextTick(() => {
      this.#behindHandle = NONE;
      if (this.#needsDrain) this.#onRoom();
    });
  }

  #outcome(request) {
    if (this.#state[STATE.WRITTEN + request.lane] < request.number) {
      if (this.#isOver) return this.#isOver;
      return this.isBroken ? this.brokenPipe() : undefined;
    }
    if (request.token === undefined) return request.error;
    // Dropped messages count as written; the event that says which was dropped may still be on its way.
    if (this.#state[STATE.EVENTS] > 0) return undefined;
    if (!this.#failed.has(request.token)) return null;
    const error = this.#failed.get(request.token);
    this.#failed.delete(request.token);
    return error;
  }

  /** In the first tick after send(): the message leaves now if the kernel takes it, and all that were sent before. */
  settle(request) {
    const waiting = this.#waiting[request.lane];
    if (this.#outcome(request) === undefined) this.#native.flush();
    const outcome = waiting.size > 0 && !this.#isOver ? undefined : this.#outcome(request);
    if (outcome !== undefined) {
      const { callback } = request;
      callback(outcome);
      return;
    }
    request.resource = new AsyncResource('FORKWIRESEND');
    waiting.push(request);
    withWaiting.add(this);
    this.#state[STATE.WAITS] = 1;
  }

  /** A message was dropped because its connection was reset. Whether somebody hears of it. */
  fail(token, error) {
    this.#failed.set(token, error);
  }

  /** Bytes left: callbacks whose messages are through are due. Whether 'drain' is. */
  progress() {
    for (const waiting of this.#waiting) this.#callBack(waiting);
    const isDrained = this.#needsDrain && this.#state[STATE.QUEUED] <= LOW_WATER_MARK;
    if (isDrained) this.#needsDrain = false;
    const hasCallbacks = this.#waiting.some(({ size }) => size > 0);
    if (!hasCallbacks) withWaiting.delete(this);
    const isWaiting = this.#needsDrain || hasCallbacks;
    this.#state[STATE.WAITS] = isWaiting ? 1 : 0;
    return isDrained;
  }

  #callBack(waiting) {
    for (let due = this.#takeDue(waiting); due; due = this.#takeDue(waiting)) {
      // Each in a tick of its own, so that one that throws keeps none from being called.
      due.resource.runInAsyncScope(nextTick, undefined, due.callback, due.outcome);
    }
  }

  /** The first of those that wait, with its outcome, or null where that is not known. */
  #takeDue(waiting) {
    if (waiting.size === 0) return null;
    const outcome = this.#outcome(waiting.first);
    return outcome === undefined ? null : { ...waiting.shift(), outcome };
  }

  /** No tick will come any more: calls back at once what was written in the last moment. An error does not keep the others
   * from being called. */
  finish() {
    const errors = [];
    for (const waiting of this.#waiting) this.#finishLane(waiting, errors);
    if (errors.length > 0) throw errors[0];
  }

  #finishLane(waiting, errors) {
    for (let due = this.#takeDue(waiting); due; due = this.#takeDue(waiting)) {
      try {
        due.resource.runInAsyncScope(due.callback, undefined, due.outcome);
      } catch (error) {
        errors.push(error);
      }
    }
  }

  /** Nothing is written any more. `isDead`: because the peer is gone, and not by anybody's END. */
  end(isDead) {
    this.#isOver = isDead ? this.brokenPipe() : nodeError('ERR_IPC_CHANNEL_CLOSED', this.#pid());
    this.progress();
  }
}

function settleInTick(outbox, request) {
  outbox.settle(request);
}

/** The process ends, and all channels were written out. */
function finishAll() {
  for (const outbox of withWaiting) outbox.finish();
}

module.exports = { Outbox, finishAll };
