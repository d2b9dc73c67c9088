'use strict';

// The lists that one server asks in getConnections() and close(), whatever channels they belong to, and what Node's
// arithmetic in these two needs of them.

const internals = require('./node-internals');
const listsOfServer = new WeakMap(); // server -> Set of SocketListSend

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

function addToServer(server, list) {
  const lists = watchServer(server);
  lists.add(list);
  internals.addWorkerList(server, list);
  list.once('exit', () => {
    lists.delete(list);
    internals.forgetWorkersIfNone(server);
  });
}

/** A connection of the server left for the child of `list`. */
function connectionLeft(server, list) {
  internals.addConnections(server, -1);
  list.add();
  countForClosed(server, list);
  checkAll(listsOfServer.get(server));
}

module.exports = { ServerOwner, addToServer, connectionLeft };
