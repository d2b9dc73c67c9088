'use strict';

// The obvious trick in pure JavaScript, which a native channel has to beat: the JSON texts of a tick leave in one write,
// and everything complete in a read is parsed at once. No handles, no callbacks, no limits, no order with anything else.

class CoalescingStream {
  #socket;
  #texts = [];
  #rest = '';
  onMessage = null;

  constructor(socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text) => this.#read(text));
  }

  send(message) {
    this.#texts.push(JSON.stringify(message));
    if (this.#texts.length === 1) process.nextTick(() => this.#flush());
  }

  #flush() {
    this.#socket.write(`${this.#texts.join(',')}\n`);
    this.#texts = [];
  }

  #read(text) {
    const end = text.lastIndexOf('\n');
    if (end < 0) {
      this.#rest += text;
      return;
    }
    const whole = this.#rest + text.slice(0, end);
    this.#rest = text.slice(end + 1);
    for (const message of JSON.parse(`[${whole.replaceAll('\n', ',')}]`)) this.onMessage(message);
  }

  end() {
    this.#socket.end();
  }
}

module.exports = { CoalescingStream };
