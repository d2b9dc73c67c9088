'use strict';

// The driver's view of one child: a conversation between slices, and the workload's messages during one.

class Peer {
  #handler = null;
  #answers = [];
  #waiting = null;

  constructor(endpoint) {
    this.endpoint = endpoint;
    endpoint.onMessage((message, handle) => {
      if (this.#handler) this.#handler(message, handle);
      else this.#answered(message);
    });
  }

  #answered(message) {
    if (message.error) throw new Error(`in the child: ${message.error}`);
    if (!this.#waiting) {
      this.#answers.push(message);
      return;
    }
    this.#waiting(message);
    this.#waiting = null;
  }

  send(message, handle, callback) {
    return this.endpoint.send(message, handle, callback);
  }

  /** What the child says next in the conversation. */
  answer() {
    if (this.#answers.length > 0) return Promise.resolve(this.#answers.shift());
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  start(count, index) {
    this.endpoint.send({ bench: 'start', count, index });
    return this.answer();
  }

  /** From now on messages are the workload's, until rest(). */
  listen(handler) {
    this.#handler = handler;
  }

  rest() {
    this.#handler = null;
  }

  exit() {
    this.endpoint.send({ bench: 'exit' });
  }
}

module.exports = { Peer };
