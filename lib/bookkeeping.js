'use strict';

// Which list counts a socket. A socket belongs to a server of this process, or it was received and belongs to
// the list of the one it came from; when it is handed on, it is counted through whoever handed it on.

const { randomFillSync } = require('node:crypto');
const internals = require('./node-internals');
const { KeptOpenList, SocketListReceive, SocketListSend } = require('./socket-list');

const serverKeys = new WeakMap(); // server -> key
const relayKeys = new WeakMap(); // SocketListReceive -> key under which its sockets are handed on
const origins = new WeakMap(); // received socket -> { list, onClose }
const listsOfServer = new WeakMap(); // server -> Set of SocketListSend
const keptOpenLists = new WeakMap(); // socket -> its KeptOpenLists

function randomKey() {
  return randomFillSync(new BigUint64Array(1))[0];
}

function keyOf(keys, object) {
  const known = keys.get(object);
  if (known !== undefined) return known;
  const key = randomKey();
  keys.set(object, key);
  return key;
}

/** Node asks its lists in close() and trusts their answer, also about connections of its own: it sets their
 * number to 0. So no list answers while the server itself has some; Node added one for each close() asked. */
class ServerOwner {
  #server;

  constructor(server) {
    this.#server = server;
  }

  isDrained(polls) {
    return internals.connectionsOf(this.#server) <= polls;
  }

  /** What the server counts for no connection of its own: an unanswered close(), a list (countForClosed). The first
   * list that is asked takes it off. */
  surplusFor(list) {
    const lists = [...listsOfServer.get(this.#server)];
    if (lists[0] !== list) return 0;
    const polls = Math.max(...lists.map((each) => each.polls));
    return polls + lists.filter(({ isCountedByServer }) => isCountedByServer).length;
  }

  settled() {}

  takeBack(socket) {
    internals.addConnections(this.#server, 1);
    internals.giveToServer(socket, this.#server);
  }
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

/** A list's answer to close() may wait for connections of the server itself, or those of other lists. */
function checkAll(lists) {
  for (const list of lists) list.check();
}

/**
 * A connection leaves a server that is closed already and asks no list any more: it counts for the server itself until
 * the list has none left.
 */
function countForClosed(server, list) {
  if (!internals.isClosed(server) || list.isClosing || list.isCountedByServer) return;
  list.isCountedByServer = true;
  list.watch();
  internals.addConnections(server, 1);
  list.once('empty', () => {
    list.isCountedByServer = false;
    internals.addConnections(server, -1);
    internals.closeIfDrained(server);
  });
}

function watchServer(server) {
  let lists = listsOfServer.get(server);
  if (lists) return lists;
  lists = new Set();
  listsOfServer.set(server, lists);
  internals.onConnectionClosed(server, () => checkAll(lists));
  return lists;
}

function addToServer(server, lists, list) {
  lists.add(list);
  internals.addWorkerList(server, list);
  list.once('exit', () => {
    lists.delete(list);
    internals.forgetWorkersIfNone(server);
  });
}

/** The lists of one channel. */
class Bookkeeping {
  #target;
  #report;
  #polls;
  #sent = new Map(); // key -> SocketListSend
  #received = new Map(); // key -> SocketListReceive

  /** @param report(key, closed) tells the peer; @param polls NodePolls of a peer that does not report, else null */
  constructor(target, report, polls = null) {
    this.#target = target;
    this.#report = report;
    this.#polls = polls;
  }

  /** The list of what arrived with that key, or undefined. */
  received(key) {
    return this.#received.get(key);
  }

  #sendList(key, makeOwner) {
    let list = this.#sent.get(key);
    if (list) return list;
    list = new SocketListSend(this.#target, key, makeOwner(), this.#polls);
    this.#sent.set(key, list);
    return list;
  }

  #serverList(server) {
    const lists = watchServer(server);
    const key = keyOf(serverKeys, server);
    if (this.#sent.has(key)) return this.#sent.get(key);
    const list = this.#sendList(key, () => new ServerOwner(server));
    addToServer(server, lists, list);
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
    const list = new KeptOpenList(this.#target, key, owner, lists, isOpenHere, this.#polls);
    lists.push(list);
    this.#sent.set(key, list);
    addToServer(server, watchServer(server), list);
    list.once('empty', () => {
      lists.splice(lists.indexOf(list), 1);
      if (this.#sent.delete(key)) list.end();
    });
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
    return server ? this.#movingAccepted(server) : undefined;
  }

  #movingAccepted(server) {
    const list = this.#serverList(server);
    return {
      key: list.key,
      moved() {
        internals.addConnections(server, -1);
        list.add();
        countForClosed(server, list);
        checkAll(listsOfServer.get(server));
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
    const relay = isGoingBack
      ? undefined
      : this.#sendList(keyOf(relayKeys, list), () => new RelayOwner(list));
    return {
      key: isGoingBack ? list.key : relay.key,
      moved() {
        socket.removeListener('close', onClose);
        if (relay) relay.add();
        else list.leave(1);
      },
      returned(replacement) {
        if (relay) relay.remove(1);
        else list.rejoin(1);
        if (replacement) origins.set(replacement, { list, onClose: list.watch(replacement) });
        else list.remove(1);
      },
    };
  }

  /** A counted socket arrived with this key, which is its own if it is kept open by the sender. */
  arrived(socket, key, isKeptOpen) {
    const sent = this.#sent.get(key);
    if (sent) {
      sent.takeBack(socket);
      return;
    }
    let list = this.#received.get(key);
    if (!list) {
      list = new SocketListReceive(this.#target, key, this.#report);
      this.#received.set(key, list);
      if (isKeptOpen) list.once('empty', () => this.#received.delete(key));
    }
    origins.set(socket, { list, onClose: list.add({ socket }) });
  }

  /** The peer closed so many sockets of that key, in all. */
  closedThere(key, closed) {
    this.#sent.get(key)?.closedInAll(closed);
  }

  /** The channel ended. */
  end() {
    const lists = [...this.#sent.values()];
    this.#sent.clear();
    for (const list of lists) list.end();
  }
}

module.exports = { Bookkeeping };
