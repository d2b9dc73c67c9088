'use strict';

// Stock Node's wire: what its NODE_* messages mean. A message that carries a handle is wrapped, an arrived one
// unwrapped; acknowledgements and the counting of sockets are answered here. Nothing a peer can put into a message
// throws.

const { isInternal } = require('./messages');
const { warn } = require('./diagnostics');
const { forkwireError, isErrno } = require('./errors');
const { FLAG, typeNamed } = require('./handles');
const { keyFromWire, keyToWire } = require('./node-keys');
const { Buffer, JSONStringify, nodeProcess } = require('./primordials');
const { deserialize, serialize } = require('./serialization');

const LANE = { USER: 0, INTERNAL: 1 };

/** Of the channel itself: no listener sees these, and no message of a user's can be one. */
const OWN = new Set([
  'NODE_HANDLE',
  'NODE_HANDLE_ACK',
  'NODE_HANDLE_NACK',
  'NODE_SOCKET_NOTIFY_CLOSE',
  'NODE_SOCKET_ALL_CLOSED',
  'NODE_SOCKET_GET_COUNT',
  'NODE_SOCKET_COUNT',
]);

const NACKS_BEFORE_WARNING = 3; // stock gives up there

const isOwn = (message) => isInternal(message) && OWN.has(message.cmd);

/** A stock sender that repeats a handle wraps what it had wrapped, as a native one. */
function unwrapRepeated(message) {
  const { type, msg } = message;
  const isRepeated = type === 'net.Native' && isInternal(msg) && msg.cmd === 'NODE_HANDLE';
  return isRepeated ? msg : message;
}

/** The number of a handle's type; 0 for one that is not known here, or whose message cannot be delivered. */
function typeOf({ type, msg }) {
  if (msg === undefined || isOwn(msg)) return 0;
  return typeNamed(type);
}

/** How `serialization` writes on this wire; the acknowledgements are told to the addon, which knows them by their bytes. */
const formats = {
  json: {
    wire: 1, // FW_WIRE_NODE_JSON
    encode: (message) => Buffer.from(JSONStringify(message)),
    wrap: (fields, text) => {
      const wrapped = JSONStringify(fields);
      const msg = wrapped.indexOf('"msg":0') + '"msg":'.length;
      return `${wrapped.slice(0, msg)}${text}${wrapped.slice(msg + 1)}`;
    },
  },
  advanced: {
    wire: 2, // FW_WIRE_NODE_ADVANCED
    encode: serialize,
    // Not the message again: its getters ran, and might do something else now.
    wrap: (fields, payload) => serialize({ ...fields, msg: deserialize(payload) }),
  },
};

/** What the addon must know of this wire. */
function nodeWireOptions(serialization) {
  const { wire, encode } = formats[serialization];
  return {
    wire,
    ack: encode({ cmd: 'NODE_HANDLE_ACK' }),
    nack: encode({ cmd: 'NODE_HANDLE_NACK' }),
  };
}

class NodeProtocol {
  #native;
  #format;
  #polls;
  #received;
  #onLost;

  /**
   * @param native the addon's channel
   * @param serialization 'json' or 'advanced'
   * @param polls NodePolls: the questions that this end asks
   * @param received (key) => the SocketListReceive of that key, or undefined
   * @param onLost called when a handle cannot be had, and its message is dropped
   */
  constructor(native, serialization, polls, received, onLost) {
    this.#native = native;
    this.#format = formats[serialization];
    this.#polls = polls;
    this.#received = received;
    this.#onLost = onLost;
  }

  /** The payload of a message with a handle. `payload` is that of the message alone. */
  wrap(payload, name, travel) {
    const fields = { cmd: 'NODE_HANDLE', type: name, msg: 0 };
    if (travel.key !== undefined) fields.key = keyToWire(travel.key);
    if (travel.dgramType !== undefined) fields.dgramType = travel.dgramType;
    return this.#format.wrap(fields, payload);
  }

  /** What is to be delivered of a decoded message: { message, handle, cost, isInternal }, or null. */
  interpret(entry) {
    const { message } = entry;
    if (!isOwn(message)) {
      entry.handle = undefined;
      entry.isInternal = isInternal(message);
      return entry;
    }
    if (message.cmd === 'NODE_HANDLE') return this.#onHandle(entry);
    this.#onOwn(message);
    return null;
  }

  #onOwn({ cmd, key, count }) {
    if (cmd === 'NODE_HANDLE_ACK') this.#native.acknowledged(true);
    else if (cmd === 'NODE_HANDLE_NACK') this.#native.acknowledged(false);
    else if (typeof key !== 'string') return;
    else if (cmd === 'NODE_SOCKET_COUNT') this.#polls.onCount(keyFromWire(key), count);
    else if (cmd === 'NODE_SOCKET_ALL_CLOSED') this.#polls.onAllClosed(keyFromWire(key));
    else if (cmd === 'NODE_SOCKET_GET_COUNT') this.#tellCount(key);
    else this.#tellWhenClosed(key);
  }

  #onHandle({ message, handle, cost }) {
    const inner = unwrapRepeated(message);
    const { msg, key } = inner;
    const lane = isInternal(msg) ? LANE.INTERNAL : LANE.USER;
    const id = this.#native.claim(lane, handle?.id ?? 0, typeOf(inner));
    if (id === 0) warn(forkwireError('ERR_FORKWIRE_HANDLE_REFUSED'));
    else if (isErrno(id, 'EACCES')) this.#onLost();
    if (id <= 0) return null;
    const info = { id, type: typeOf(inner), flags: 0 };
    if (typeof key === 'string' && key !== '') {
      info.flags = FLAG.COUNTED;
      info.key = keyFromWire(key);
    }
    return { message: msg, handle: info, cost, isInternal: lane === LANE.INTERNAL };
  }

  #tellCount(key) {
    const count = this.#received(keyFromWire(key))?.connections ?? 0;
    this.#polls.answer({ cmd: 'NODE_SOCKET_COUNT', key, count });
  }

  #tellWhenClosed(key) {
    const tell = () => this.#polls.answer({ cmd: 'NODE_SOCKET_ALL_CLOSED', key });
    const list = this.#received(keyFromWire(key));
    if (!list || list.connections === 0) tell();
    else if (!list.isWatched) {
      list.isWatched = true; // asked again, it is still one answer
      list.once('empty', () => {
        list.isWatched = false;
        tell();
      });
    }
  }

  /** A handle did not reach the peer for the `count`th time. It is sent again; stock says this and drops it. */
  onNack(count) {
    if (count !== NACKS_BEFORE_WARNING) return;
    nodeProcess.emitWarning(
      'Handle did not reach the receiving process correctly',
      'SentHandleNotReceivedWarning',
    );
  }
}

module.exports = { NodeProtocol, nodeWireOptions };
