'use strict';

// Which list counts a socket. A socket belongs to a server of this process, or it was received and belongs to
// the list of the one it came from; when it is handed on, it is counted through whoever handed it on.

const internals = require('./node-internals');
const { reportThrown } = require('./report-thrown');
const { ServerOwner, addToServer, connectionLeft } = require('./server-lists');
const { KeptOpenList, SocketListReceive, SocketListSend } = require('./socket-list');

const serverKeys = new WeakMap(); // server -> key
const relayKeys = new WeakMap(); // SocketListReceive -> key under which its sockets are handed on
const origins = new WeakMap(); // received socket -> { list, onClose }
const keptOpenLists = new WeakMap(); // socket -> its KeptOpenLists

function randomKey() {
  const { randomFillSync } = require('node:crypto'); // takes long to load
  return randomFillSync(new BigUint64Array(1))[0];
}

function keyOf(keys, object) {
  const known = keys.get(object);
  if (known !== undefined) return known;
  const key = randomKey();
  keys.set(object, key);
  return key;
}

/** Sockets that were handed on: what happens there is reported to where they came from. */
class RelayOwner {
  #list;

  constructor(list) {
    this.#list = list;
  }

  isDrained() {
    return true;
  }

  surplusFor() {
    return 0;
  }

  settled(_list, count) {
    this.#list.remove(count);
  }

  /** It is counted already, as one that is handed on: now it is held here again. */
  takeBack(socket) {
    origins.set(socket, { list: this.#list, onClose: this.#list.watch(socket) });
  }
}

/** The lists of one channel. Only those that count something are kept: nothing of a server outlives its connections. */
class Bookkeeping {
  #target;
  #report;
  #polls;
  #expectCounts;
  #sent = new Map(); // key -> SocketListSend
  #received = new Map(); // key -> SocketListReceive

  /**
   * @param report(key, count) tells the peer that so many more were closed
   * @param polls NodePolls of a peer that does not report, else null
   * @param expectCounts(key, areExpected): only of expected keys the peer's reports come through
   */
  constructor(target, report, polls = null, expectCounts = () => {}) {
    this.#target = target;
    this.#report = report;
    this.#polls = polls;
    this.#expectCounts = expectCounts;
  }

  /** The list of what arrived with that key, or undefined. */
  received(key) {
    return this.#received.get(key);
  }

  #keep(list) {
    this.#sent.set(list.key, list);
    this.#expectCounts(list.key, true);
    list.once('exit', () => this.#forget(list.key));
    return list;
  }

  #forget(key) {
    this.#sent.delete(key);
    this.#expectCounts(key, false);
  }

  #serverList(server, key) {
    const known = this.#sent.get(key);
    if (known) return known;
    const list = this.#keep(
      new SocketListSend(this.#target, key, new ServerOwner(server), this.#polls),
    );
    addToServer(server, list);
    return list;
  }

  #relayList(received, key) {
    const known = this.#sent.get(key);
    return known ?? this.#keep(new SocketListSend(this.#target, key, new RelayOwner(received)));
  }

  #receivedList(key) {
    const known = this.#received.get(key);
    if (known) return known;
    const list = new SocketListReceive(this.#target, key, this.#report);
    this.#received.set(key, list);
    list.once('empty', () => this.#received.delete(key));
    return list;
  }

  /**
   * A socket is about to be sent that the sender keeps. Gives undefined when no server counts it, else
   * { key, moved(), returned() } as moving() does.
   */
  keeping(socket) {
    const server = internals.serverOf(socket);
    if (!server) return undefined;
    const key = randomKey(); // one for each time it is sent
    return {
      key,
      moved: () => {
        const list = this.#keptOpenList(socket, server, key);
        list.add();
        list.watch(); // it goes when it is empty
      },
      returned: () => this.#sent.get(key)?.remove(1),
    };
  }

  #keptOpenList(socket, server, key) {
    const lists = keptOpenLists.get(socket) ?? [];
    keptOpenLists.set(socket, lists);
    const isOpenHere = () => !socket.destroyed;
    const owner = new ServerOwner(server);
    const made = new KeptOpenList(this.#target, key, owner, lists, isOpenHere, this.#polls);
    const list = this.#keep(made);
    lists.push(list);
    list.once('exit', () => lists.splice(lists.indexOf(list), 1));
    addToServer(server, list);
    return list;
  }

  /**
   * A socket is about to be moved to the peer. Gives undefined when nobody counts it, else { key, moved(), returned(socket) }:
   * `moved` is called when it left, `returned` when it came back, with the socket that replaces it, or with none when it is closed.
   */
  moving(socket) {
    const origin = origins.get(socket);
    if (origin) return this.#movingReceived(socket, origin);
    const server = internals.serverOf(socket);
    return server ? this.#movingAccepted(socket, server) : undefined;
  }

  #movingAccepted(socket, server) {
    const key = keyOf(serverKeys, server);
    let list;
    return {
      key,
      moved: () => {
        list = this.#serverList(server, key);
        reportThrown(() => internals.leaveServer(socket));
        connectionLeft(server, list);
      },
      returned(replacement) {
        if (replacement) {
          internals.addConnections(server, 1);
          internals.giveToServer(replacement, server);
        }
        list.remove(1);
      },
    };
  }

  #movingReceived(socket, { list, onClose }) {
    const isGoingBack = list.child === this.#target;
    const key = isGoingBack ? list.key : keyOf(relayKeys, list);
    let relay;
    return {
      key,
      moved: () => {
        reportThrown(() => socket.removeListener('close', onClose));
        if (isGoingBack) {
          list.leave(1);
          return;
        }
        relay = this.#relayList(list, key);
        relay.add();
      },
      returned(replacement) {
        if (isGoingBack) list.rejoin(1);
        else relay.remove(1);
        if (replacement) origins.set(replacement, { list, onClose: list.watch(replacement) });
        else list.remove(1);
      },
    };
  }

  /** A counted socket arrived with this key. */
  arrived(socket, key) {
    const sent = this.#sent.get(key);
    if (sent) {
      sent.takeBack(socket);
      return;
    }
    const list = this.#receivedList(key);
    origins.set(socket, { list, onClose: list.add({ socket }) });
  }

  /** The peer closed so many more sockets of that key. */
  closedThere(key, count) {
    this.#sent.get(key)?.closedThere(count);
  }

  /** The channel ended. */
  end() {
    const lists = [...this.#sent.values()];
    this.#sent.clear();
    for (const list of lists) list.end();
  }
}

module.exports = { Bookkeeping };
