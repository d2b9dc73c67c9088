'use strict';

// `channel` of a ChildProcess and of process: reference counting, as Node's Control class has it.

const EventEmitter = require('node:events');

class Control extends EventEmitter {
  #native;
  #refs = 0;
  #isExplicit = false;
  #protocol;
  #reason;

  constructor(native, protocol, reason) {
    super();
    this.#native = native;
    this.#protocol = protocol;
    this.#reason = reason;
  }

  /** 'native': forkwire's wire; 'node': that of stock Node. */
  get protocol() {
    return this.#protocol;
  }

  /** Why it is that of stock Node; undefined where it is not. */
  get protocolReason() {
    return this.#reason;
  }

  get fd() {
    const fd = this.#native.fd();
    return fd < 0 ? undefined : fd;
  }

  /** One more reason to keep the process alive. Without effect after ref() or unref(). */
  refCounted() {
    if (++this.#refs === 1 && !this.#isExplicit) this.#native.referenced(true);
  }

  unrefCounted() {
    if (--this.#refs !== 0 || this.#isExplicit) return;
    this.#native.referenced(false);
    this.emit('unref');
  }

  /** The channel keeps the process alive, whatever listeners there are. */
  ref() {
    this.#isExplicit = true;
    this.#native.referenced(true);
  }

  unref() {
    this.#isExplicit = true;
    this.#native.referenced(false);
  }
}

module.exports = { Control };
