'use strict';

// Where a server's connections are while they live in other processes. One SocketListSend per server and
// child at the sender, one SocketListReceive per server and sender at the receiver, as in Node's
// internal/socket_list, but counted by what the channel reports and not by asking: `getConnections` needs
// no round trip, and a child that ends just takes its part out of the sum.

const EventEmitter = require('node:events');
const { keyToWire } = require('./node-keys');

/**
 * Connections of one server that one child holds, or that are on their way to it.
 * Emits 'empty' when the last is gone, and 'exit', with itself, when no close() waits for it either: nobody needs it then, and
 * the next connection that is sent makes another.
 */
class SocketListSend extends EventEmitter {
  #closeCallbacks = [];
  #owner;
  #polls;
  #isWatched = false; // somebody waits for 'empty'

  /**
   * @param child the ChildProcess, or `process` for the parent
   * @param key random 64-bit id of the server (BigInt)
   * @param owner { settled(list, count), takeBack(socket), isDrained(polls), surplusFor(list) }: hears of closings,
   *   counts what comes back, says when 'close' may come and what the server counts without a connection
   * @param polls NodePolls where the child tells nothing by itself, else null
   */
  constructor(child, key, owner, polls = null) {
    super();
    this.child = child;
    this.key = key;
    this.connections = 0;
    this.added = 0; // since the beginning
    this.#owner = owner;
    this.#polls = polls;
  }

  /** The key as stock Node's messages name it. */
  get wireKey() {
    return keyToWire(this.key);
  }

  /** One more is on its way. */
  add() {
    this.connections++;
    this.added++;
  }

  /** `count` came back, or were closed there. */
  remove(count) {
    const removed = Math.min(count, this.connections);
    if (removed === 0) return;
    this.connections -= removed;
    if (this.connections === 0) this.emit('empty', this);
    this.check();
  }

  /** One came back in another message. */
  takeBack(socket) {
    this.#owner.takeBack(socket);
    this.remove(1);
  }

  /** The child closed so many more. */
  closedThere(count) {
    const closed = Math.min(count, this.connections);
    if (closed > 0) this.#owner.settled(this, closed);
    this.remove(closed);
  }

  /** Node's wire: the child said how many it holds of those that had been added when it was asked. */
  heldThere(count, addedBefore) {
    const before = this.connections - (this.added - addedBefore);
    if (before > count) this.closedThere(before - count);
    if (this.#isWatched) this.watch();
  }

  /** Somebody waits for 'empty': where the child does not tell by itself, it is asked to. */
  watch() {
    this.#isWatched = this.connections > 0;
    if (this.#isWatched) this.#polls?.watch(this);
  }

  /** How many of them getConnections() is to count. */
  get counted() {
    return this.connections;
  }

  /** Calls `callback(null, count)`: how many the child holds, less what the server itself counts too many. */
  getConnections(callback) {
    const answer = () => callback(null, this.counted - this.#owner.surplusFor(this));
    if (this.#polls && this.connections > 0) this.#polls.count(this, answer);
    else answer();
  }

  /** Calls `callback(null)` once the child holds none and the server itself has closed its own. */
  close(callback) {
    this.#closeCallbacks.push(callback);
    this.check();
    if (this.isClosing) this.watch();
  }

  /** How often close() was called and is not answered yet. */
  get polls() {
    return this.#closeCallbacks.length;
  }

  get isClosing() {
    return this.polls > 0;
  }

  /** Something changed that a close() may wait for. */
  check() {
    if (this.connections > 0) return;
    if (this.isClosing && !this.#owner.isDrained(this.polls)) return;
    const callbacks = this.#closeCallbacks;
    this.#closeCallbacks = [];
    for (const callback of callbacks) callback(null);
    this.emit('exit', this);
  }

  /** The child ended: what it held is not reachable any more. */
  end() {
    this.closedThere(this.connections);
  }
}

/**
 * One connection that the sender keeps open as well (`keepOpen`), at one child. It counts once, however many
 * hold it: while the sender does, its server counts it, and then the first of the lists that still hold it.
 */
class KeptOpenList extends SocketListSend {
  #lists;
  #isOpenHere;

  /** @param lists of this connection, this one included; @param isOpenHere () => whether the sender holds it */
  constructor(child, key, owner, lists, isOpenHere, polls = null) {
    super(child, key, owner, polls);
    this.#lists = lists;
    this.#isOpenHere = isOpenHere;
  }

  get counted() {
    const first = this.#lists.find((list) => list.connections > 0);
    return first === this && !this.#isOpenHere() ? 1 : 0;
  }
}

/**
 * Connections of one server of another process that this process holds or handed on.
 * Emits 'empty' when the last is gone.
 */
class SocketListReceive extends EventEmitter {
  #report;

  /**
   * @param child whom they came from: a ChildProcess, or `process`
   * @param key the server's id (BigInt)
   * @param report called with the key and how many more were closed
   */
  constructor(child, key, report) {
    super();
    this.child = child;
    this.key = key;
    this.connections = 0;
    this.isWatched = false; // the sender wants to know when it is empty
    this.#report = report;
  }

  /** Counts `{ socket }` until it closes. Gives the listener for that, to be removed when it moves on. */
  add({ socket }) {
    this.connections++;
    return this.watch(socket);
  }

  /** The same for one that is counted already. */
  watch(socket) {
    const onClose = () => this.remove(1);
    socket.once('close', onClose);
    return onClose;
  }

  /** `count` closed: here, or where they were handed on to. */
  remove(count) {
    this.#report(this.key, count);
    this.leave(count);
  }

  /** `count` went back to the server's process: its handle frame counts them there. */
  leave(count) {
    this.connections -= count;
    if (this.connections === 0) this.emit('empty', this);
  }

  /** Undoes leave(). */
  rejoin(count) {
    this.connections += count;
  }

  getConnections(callback) {
    callback(null, this.connections);
  }

  /** Calls `callback(null)` once none is left. */
  close(callback) {
    if (this.connections === 0) callback(null);
    else this.once('empty', () => callback(null));
  }
}

module.exports = { KeptOpenList, SocketListReceive, SocketListSend };
