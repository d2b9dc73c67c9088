'use strict';

// cluster's primary sends a connection to a worker, { cmd: 'NODE_CLUSTER', act: 'newconn', key, seq }, and waits for
// { ack: seq, accepted }. Node forgets the connection of a worker that dies before it answers, and that of one
// that closes its server meanwhile when no other worker is left; its client waits for ever. Here they are handed over:
// the primary gets the answer `accepted: false`, so that cluster gives the connection to another worker; when no other
// serves that key, the connection is kept for a worker that does soon, and then closed.

const { isProxy } = require('node:util').types;
const { clearTimeout, now, setImmediate, setTimeout } = require('./primordials');

const COMMAND = 'NODE_CLUSTER';
const KEPT_MS = 5000;
const RETRY_MS = 20;

const services = new Map(); // key -> Set of the ClusterWorkers that serve it, from the first to the last
const kept = new Set(); // connections that wait for a worker

const { getOwnPropertyDescriptor, getOwnPropertyDescriptors, getPrototypeOf, values } = Object;

const isData = (descriptor) => 'value' in descriptor;

/** Whether it is one of cluster's, which are plain data: what may run something of the program's when it is looked at is none. */
function isOfCluster(message) {
  if (message === null || typeof message !== 'object' || isProxy(message)) return false;
  if (getOwnPropertyDescriptor(message, 'cmd')?.value !== COMMAND) return false;
  const isPlain = getPrototypeOf(message) === Object.prototype;
  return isPlain && values(getOwnPropertyDescriptors(message)).every(isData);
}

/** A connection on its way to a worker. */
class Connection {
  #timer;
  #deadline = 0;

  /** @param worker the one that cluster chose; @param workers of its service: none is left when that has ended */
  constructor(message, handle, worker, workers) {
    this.message = message;
    this.handle = handle;
    this.worker = worker;
    this.workers = workers;
    this.holder = worker; // the one that it was given to last
  }

  /** Tells the primary. `accepted: true` has it close its handle. */
  answer(accepted) {
    this.worker.tell({ cmd: COMMAND, ack: this.message.seq, accepted });
  }

  /** No worker of its service is left. Another service may have the same key, now or soon. */
  keep() {
    this.#deadline ||= now() + KEPT_MS;
    this.#timer = setTimeout(() => this.#giveUp(), this.#deadline - now());
    this.#timer.unref();
    kept.add(this);
  }

  #giveUp() {
    kept.delete(this);
    this.answer(true);
  }

  /** The channel of its worker could not take it now. */
  tryAgain() {
    this.#deadline ||= now() + KEPT_MS;
    const isOver = now() >= this.#deadline;
    setTimeout(() => this.holder.retry(this, isOver), RETRY_MS).unref();
  }

  giveTo(worker) {
    clearTimeout(this.#timer);
    kept.delete(this);
    this.holder = worker;
    worker.take(this);
  }
}

/** A worker as seen by the primary: what it serves and which connections it has not answered. */
class ClusterWorker {
  #target;
  #served = new Map(); // key -> its service
  #unanswered = new Map(); // seq -> Connection
  #leaving; // the seq with which it asked to be let go

  /** @param target its ChildProcess */
  constructor(target) {
    this.#target = target;
  }

  tell(message) {
    this.#target.emit('internalMessage', message, undefined);
  }

  /** Whether the worker disconnects when it gets that message: nothing that was sent before may come behind it. */
  ends(message) {
    if (!isOfCluster(message)) return false;
    if (message.ack !== undefined) return message.ack === this.#leaving;
    return message.act === 'disconnect';
  }

  /** cluster sent it a message. */
  sent(message, handle) {
    if (!isOfCluster(message)) return;
    if (message.act === 'newconn') this.#expectAnswer(message, handle);
    else if (message.act === 'disconnect') this.#leaveAll();
    else if (message.ack !== undefined && message.key && !message.errno) this.#join(message.key);
  }

  #expectAnswer(message, handle) {
    if (this.#unanswered.has(message.seq)) return; // one that was kept
    const workers = this.#served.get(message.key) ?? new Set();
    this.#unanswered.set(message.seq, new Connection(message, handle, this, workers));
  }

  #join(key) {
    if (!services.has(key)) services.set(key, new Set());
    const workers = services.get(key).add(this);
    this.#served.set(key, workers);
    for (const connection of kept) {
      if (connection.message.key === key) connection.giveTo(this);
    }
  }

  #leave(key) {
    const workers = this.#served.get(key);
    if (!workers) return;
    this.#served.delete(key);
    workers.delete(this);
    if (workers.size === 0 && services.get(key) === workers) services.delete(key);
  }

  #leaveAll() {
    for (const key of this.#served.keys()) this.#leave(key);
  }

  /** Gets a connection that was kept. */
  take(connection) {
    const { message, handle } = connection;
    this.#unanswered.set(message.seq, connection);
    this.#target._send(message, handle, true);
  }

  /** The channel did not take a message: there is no descriptor free, perhaps. Whether cluster need not hear of it. */
  refused(message, handle) {
    if (!isOfCluster(message) || message.act !== 'newconn') return false;
    this.#expectAnswer(message, handle);
    this.#unanswered.get(message.seq).tryAgain();
    return true;
  }

  /** Unless the worker is gone, and another has it. @param isLast give up instead */
  retry(connection, isLast) {
    const { seq } = connection.message;
    if (this.#unanswered.get(seq) !== connection) return;
    if (!isLast) {
      this.take(connection);
      return;
    }
    this.#unanswered.delete(seq);
    connection.answer(true);
  }

  /** cluster is about to get a message of this worker. Whether it should. */
  received(message) {
    if (!isOfCluster(message)) return true;
    if (message.act === 'close') this.#leave(message.key);
    else if (message.act === 'exitedAfterDisconnect') this.#leaving = message.seq;
    const connection = this.#unanswered.get(message.ack);
    if (!connection) return true;
    this.#unanswered.delete(message.ack);
    // The part of cluster that would distribute it has ended with its last worker.
    const isLost = message.accepted === false && connection.workers.size === 0;
    if (isLost) connection.keep();
    return !isLost;
  }

  /** Nobody took a message's handle: because the worker ended, which is told next, or it refused to. */
  returned({ seq }) {
    if (!this.#unanswered.has(seq)) return;
    setImmediate(() => {
      const connection = this.#unanswered.get(seq);
      this.#unanswered.delete(seq);
      if (connection) this.#passOn(connection);
    });
  }

  #passOn(connection) {
    const workers = services.get(connection.message.key) ?? [];
    const other = [...workers].find((worker) => worker !== this);
    if (other) connection.giveTo(other);
    else connection.keep();
  }

  /** The worker is gone, and the primary knows. */
  ended() {
    this.#leaveAll();
    for (const connection of this.#unanswered.values()) {
      if (connection.workers.size > 0) connection.answer(false);
      else this.#passOn(connection);
    }
    this.#unanswered.clear();
  }
}

module.exports = { ClusterWorker, isOfCluster };
