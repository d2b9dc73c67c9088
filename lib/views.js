'use strict';

// Large Buffers and typed arrays inside a message: their bytes travel beside V8's serialized value, so that it need not
// copy them, and the receiver's views lie over the memory in which they arrived.
//
// The body: u32 size of the value, 12 bytes 0, the value, and then each view's bytes, every part at a multiple of 16. A view
// in the value: its class, where its bytes begin in the body, how many there are.

const { isDisabled } = require('./features');
const { Buffer } = require('./primordials');

const MIN_SIZE = isDisabled('views') ? Number.POSITIVE_INFINITY : 32_768; // smaller ones stay in the value
const HEADER_SIZE = 16;

const tagOf = Function.call.bind(
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
    .get,
);

/** In the order of their numbers on the wire. */
const CLASSES = [
  Buffer,
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
  DataView,
];

const aligned = (size) => Math.ceil(size / HEADER_SIZE) * HEADER_SIZE;

/** The number of a view's class; -1 for one that has none here. */
function classOf(view) {
  if (Buffer.isBuffer(view)) return 0;
  const tag = tagOf(view) ?? 'DataView';
  return CLASSES.findIndex((Class, i) => i > 0 && Class.name === tag);
}

/** Whether a view goes beside the value: its bytes are many, and its class is known. */
const goesBeside = (view) => view.byteLength >= MIN_SIZE && classOf(view) >= 0;

/** What goes beside the value of one message, in the order in which the serializer meets it. */
class ViewsOut {
  #views = [];

  /** Writes what stands for the view. */
  add(serializer, view) {
    serializer.writeUint32(classOf(view));
    serializer.writeUint32(view.byteLength);
    this.#views.push(view);
  }

  get isEmpty() {
    return this.#views.length === 0;
  }

  /** The parts of the body. */
  body(value) {
    const header = Buffer.alloc(HEADER_SIZE);
    header.writeUint32LE(value.length);
    return [header, value, ...this.#views];
  }
}

/** What a body holds, and the views over it. */
class ViewsIn {
  #body;
  #end;

  /** @param body a Buffer; the peer may still write to it */
  constructor(body) {
    const size = body.length < HEADER_SIZE ? Number.NaN : body.readUint32LE();
    this.#body = body;
    this.#end = HEADER_SIZE + size;
    this.#check();
    /** The value's bytes, which nobody else writes to. */
    this.value = Buffer.from(body.subarray(HEADER_SIZE, this.#end));
  }

  #check() {
    if (!(this.#end <= this.#body.length)) throw new Error('a view is cut off');
  }

  /** The view that the deserializer met. */
  next(deserializer) {
    const Class = CLASSES[deserializer.readUint32()];
    const size = deserializer.readUint32();
    const start = aligned(this.#end);
    this.#end = start + size;
    this.#check();
    return viewOn(Class, this.#body, start, size);
  }
}

function viewOn(Class, body, start, size) {
  const { BYTES_PER_ELEMENT: unit = 1 } = Class;
  if (size % unit !== 0) throw new Error('a view has a broken size');
  const at = body.byteOffset + start;
  if (Class === Buffer) return Buffer.from(body.buffer, at, size);
  if (at % unit === 0) return new Class(body.buffer, at, size / unit);
  const copy = Uint8Array.prototype.slice.call(body, start, start + size);
  return new Class(copy.buffer, copy.byteOffset, size / unit);
}

module.exports = { ViewsIn, ViewsOut, goesBeside };
