'use strict';

// One way: a sender that keeps at most `window` messages ahead of what the receiver said it has, and a receiver that
// looks at every message. Acknowledgements are plain numbers, one for `window / 4` messages.

const ackEvery = ({ window }) => Math.max(1, window >> 2);

class Sender {
  #endpoint;
  #traffic;
  #count;
  #done;
  #sent = 0;
  #acknowledged = 0;
  #called = 0;
  #isPaused = false;

  /** @param done called when the last message is acknowledged and every callback came */
  constructor(endpoint, traffic, count, done) {
    this.#endpoint = endpoint;
    this.#traffic = traffic;
    this.#count = count;
    this.#done = done;
  }

  start() {
    const { make, burst, window, hasCallbacks } = this.#traffic;
    const callback = hasCallbacks ? (error) => this.#onWritten(error) : undefined;
    const end = Math.min(this.#sent + burst, this.#count);
    while (this.#sent < end) this.#endpoint.send(make(this.#sent++), undefined, callback);
    if (this.#sent === this.#count) return;
    this.#isPaused = this.#sent - this.#acknowledged >= window;
    if (!this.#isPaused) setImmediate(() => this.start());
  }

  #onWritten(error) {
    if (error) throw error;
    this.#called++;
    this.#checkDone();
  }

  onMessage(acknowledged) {
    this.#acknowledged = acknowledged;
    if (this.#isPaused) {
      this.#isPaused = false;
      setImmediate(() => this.start());
    }
    this.#checkDone();
  }

  #checkDone() {
    const isCalled = !this.#traffic.hasCallbacks || this.#called === this.#count;
    if (isCalled && this.#acknowledged === this.#count) this.#done();
  }
}

/** A handler of messages; calls `done` behind the last acknowledgement. */
function receiver(endpoint, traffic, count, done) {
  const { make, isSame } = traffic;
  const every = ackEvery(traffic);
  let received = 0;
  return (message) => {
    if (!isSame(message, received, make))
      throw new Error(`message ${received} is not what was sent`);
    received++;
    if (received === count || received % every === 0) endpoint.send(received);
    if (received === count) done();
  };
}

/** A workload of one-way messages: traffic is { make(i), isSame(message, i, make), burst, window, hasCallbacks }. */
function oneWay({ traffic, direction = 'down', ...workload }) {
  const send = (endpoint, count, done) => new Sender(endpoint, traffic, count, done);
  const down = {
    parent: ({ peers: [peer] }, count) =>
      new Promise((resolve) => {
        const sender = send(peer, count, () => {
          peer.rest();
          resolve();
        });
        peer.listen((message) => sender.onMessage(message));
        sender.start();
      }),
    child: (endpoint, { count, finish }) => receiver(endpoint, traffic, count, finish),
  };
  const up = {
    parent: ({ peers: [peer] }, count) =>
      new Promise((resolve) => {
        const done = () => {
          peer.rest();
          resolve();
        };
        peer.listen(receiver(peer, traffic, count, done));
        peer.send(0); // go
      }),
    child(endpoint, { count, finish }) {
      const sender = send(endpoint, count, finish);
      return (message) => (message === 0 ? sender.start() : sender.onMessage(message));
    },
  };
  return { unit: 'message', ...workload, ...(direction === 'down' ? down : up) };
}

module.exports = { oneWay };
