'use strict';

// A server that deals its connections out to children in turn, and deals again what comes back: what forkwire is
// for, in the shape that its users write it.

const { once } = require('node:events');
const { forkFunction } = require('./fork-fixture');
const { Tally } = require('./tally');

/** Answers each connection in the listener that gets it, so that one that was taken was also answered. */
function answerAtOnce() {
  process.on('message', (_message, socket) => {
    if (socket === undefined) return;
    socket.on('error', () => {}); // answered by another already, which is dead
    socket.end(`answered by ${process.pid};`);
  });
  process.send('up');
}

class Dealer {
  tallies = [];
  answeredHere = 0;
  #children = [];
  #options;
  #body;
  #next = 0;
  #number = 0;

  /** @param options of fork() @param body what the children run */
  constructor(count, options, body = answerAtOnce) {
    this.#options = options;
    this.#body = body;
    for (let i = 0; i < count; i++) this.add();
  }

  /** One more child. */
  add() {
    const child = forkFunction(this.#options, this.#body);
    child.tally = new Tally(child, (_message, socket) => this.deal(socket));
    child.on('message', () => {});
    this.tallies.push(child.tally);
    this.#children.push(child);
    return child;
  }

  get children() {
    return this.#children.filter((child) => child.connected && !child.killed);
  }

  /** Resolves when every child runs. */
  async up() {
    await Promise.all(this.children.map((child) => once(child, 'message')));
  }

  deal(socket) {
    const children = this.#children.filter((child) => child.connected);
    if (children.length === 0) {
      this.answeredHere++;
      socket.end('answered by parent;');
      return;
    }
    const child = children[this.#next++ % children.length];
    child.tally.send(`socket ${this.#number++}`, socket);
  }

  /** Ends all that still live; resolves when every child has closed. */
  async end(limit = 30_000) {
    for (const child of this.#children) if (child.connected) child.disconnect();
    for (const tally of this.tallies) await tally.ended(limit);
  }
}

module.exports = { Dealer, answerAtOnce };
