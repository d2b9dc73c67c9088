'use strict';

// The moment in which an arrived handle becomes an object and is taken; and sockets whose sender still writes.

const handles = require('./handles');
const { reportEach } = require('./report-thrown');
// fw_refused_reason_t
const REFUSED = { POLICY: 2, NO_LISTENER: 3, UNUSABLE: 4 };

// As many as may be open by the protocol.
const MAX_WRITTEN = 4096;

class Arrivals {
  #native;
  #bookkeeping;
  #closeFd;
  #makeError;
  #gates = new Map(); // handle id -> Gate of a socket whose sender is still writing
  #written = new Map(); // handle id -> whether that failed, of sockets that were not delivered yet

  /** @param closeFd closes a descriptor of which no object could be made; @param makeError (code): an error that names the peer */
  constructor(native, bookkeeping, closeFd, makeError) {
    this.#native = native;
    this.#bookkeeping = bookkeeping;
    this.#closeFd = closeFd;
    this.#makeError = makeError;
  }

  /** Nobody listens. */
  refuse({ id }) {
    this.#refuse(id, REFUSED.NO_LISTENER);
  }

  #refuse(id, reason) {
    this.#written.delete(id);
    this.#native.refuse(id, reason);
  }

  /**
   * Makes the object of a handle. Calls ready(object), at once or when it is usable: the handle is taken then. Or
   * failed(): it was refused, or the channel ended meanwhile.
   */
  open(info, ready, failed) {
    const { id } = info;
    if (!handles.isKnown(info.type)) {
      this.#refuse(id, REFUSED.POLICY);
      return failed();
    }
    const fd = this.#native.adopt(id);
    if (fd < 0) return failed();
    let isReady = false;
    info.holdWrites = (gate) => this.#holdWrites(id, gate);
    const taken = (object) => {
      isReady = true;
      this.#native.taken(id);
      ready(object);
    };
    const refused = () => {
      this.#refuse(id, REFUSED.UNUSABLE);
      failed();
    };
    try {
      handles.got(fd, info, this.#bookkeeping, taken, refused);
    } catch (error) {
      if (isReady) throw error; // a listener's
      this.#closeFd(fd);
      refused();
    }
  }

  /** A socket came whose sender still has bytes to write: it waits for them. */
  #holdWrites(id, gate) {
    if (this.#written.has(id)) this.#openGate(gate, this.#written.get(id));
    else this.#gates.set(id, gate);
    this.#written.delete(id);
  }

  #openGate(gate, failed) {
    if (failed) gate.fail(this.#makeError('ERR_FORKWIRE_WRITES_LOST'));
    else gate.open();
  }

  /** The sender of a socket is through with its writes. The socket itself may still wait to be delivered. */
  writesDone(id, failed) {
    const gate = this.#gates.get(id);
    if (gate) this.#openGate(gate, failed);
    else this.#remember(id, failed);
    this.#gates.delete(id);
  }

  /** Of those that were refused in the addon nobody asks: the oldest go. */
  #remember(id, failed) {
    this.#written.set(id, failed);
    if (this.#written.size > MAX_WRITTEN) this.#written.delete(this.#written.keys().next().value);
  }

  /** Nobody will say any more what became of the writes before those of our sockets. */
  giveUpWrites() {
    reportEach([...this.#gates.values()].map((gate) => () => this.#openGate(gate, true)));
    this.#gates.clear();
  }
}

module.exports = { Arrivals };
