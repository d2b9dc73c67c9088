'use strict';

/** A queue whose shift() does not move what is behind. */
class Fifo {
  #items = [];
  #head = 0;

  get size() {
    return this.#items.length - this.#head;
  }

  get first() {
    return this.#items[this.#head];
  }

  push(item) {
    this.#items.push(item);
  }

  shift() {
    if (this.#items.length === 1) return this.#items.pop(); // the head, and its array is kept
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  [Symbol.iterator]() {
    return this.#items.slice(this.#head)[Symbol.iterator]();
  }

  clear() {
    this.#items = [];
    this.#head = 0;
  }
}

module.exports = { Fifo };
