'use strict';

// Long strings inside a JSON message travel beside the text: JSON would scan, escape and copy each of their characters
// several times at both ends. The text is that of [paths, message], where the message has '' in place of each such string
// and paths[i] leads to the place of the i-th one.

const { mayBeInternal } = require('./messages');
const { Buffer, JSONParse: parse, JSONStringify: stringify } = require('./primordials');

const { assign, getOwnPropertyDescriptor, getPrototypeOf, hasOwn, keys, prototype } = Object;
const { isArray } = Array;

const MIN_LENGTH = 32_768; // characters: shorter ones stay in the text
const MAX_DEPTH = 8;
const MAX_VALUES = 1000; // that are looked at in one message

/** Whether JSON.stringify() takes the object's own enumerable properties as they are. */
function isPlain(object) {
  const parent = getPrototypeOf(object);
  const isKnown = parent === prototype || parent === null || isArray(object);
  return isKnown && typeof object.toJSON !== 'function';
}

/** JSON knows no other names of an array. */
const isIndex = (name) => String(Number(name) >>> 0) === name;

/** A copy of what JSON sees of a plain object or an array. */
function copyOf(object) {
  if (!isArray(object)) return { ...object };
  const copy = assign([], object);
  copy.length = object.length; // the last ones may be holes
  return copy;
}

/** What is found in one message, and how much of it may still be looked at. */
class Search {
  paths = [];
  strings = [];
  #left = MAX_VALUES;

  /** The value, or a copy that has '' in place of long strings. Nothing of the user's is changed. */
  strip(value, path) {
    if (typeof value === 'string') return this.#stripString(value, path);
    if (value === null || typeof value !== 'object' || path.length >= MAX_DEPTH) return value;
    return isPlain(value) ? this.#stripObject(value, path) : value;
  }

  #stripString(string, path) {
    if (string.length < MIN_LENGTH || path.length === 0) return string;
    this.paths.push(path);
    this.strings.push(string);
    return '';
  }

  #stripObject(object, path) {
    const names = keys(object);
    this.#left -= names.length;
    if (this.#left < 0) return object;
    let copy = object;
    for (const name of names) {
      const property = getOwnPropertyDescriptor(object, name);
      // A getter may give another value each time, and '__proto__' cannot be assigned at the other end.
      if (property === undefined || !('value' in property) || name === '__proto__') continue;
      if (isArray(object) && !isIndex(name)) continue;
      const stripped = this.strip(property.value, [...path, name]);
      if (stripped === property.value) continue;
      if (copy === object) copy = copyOf(object);
      copy[name] = stripped;
    }
    return copy;
  }
}

/** [text, string, ...] of a message with long strings in it, or null for any other. */
function partsOf(message) {
  const search = new Search();
  const stripped = search.strip(message, []);
  if (search.strings.length === 0) return null;
  return [stringify([search.paths, stripped]), ...search.strings];
}

/** Puts a string in its place. Throws where there is no such place: the peer made this up. */
function place(message, path, string) {
  let holder = message;
  for (const [i, name] of path.entries()) {
    const isThere = holder !== null && typeof holder === 'object' && hasOwn(holder, name);
    if (!isThere || name === '__proto__') throw new TypeError('a string has no place');
    if (i === path.length - 1) holder[name] = string;
    else holder = holder[name];
  }
}

/** The message of such parts. Throws for what partsOf() does not make. */
function messageOf([text, ...strings]) {
  const parsed = parse(text);
  const [paths, message] = isArray(parsed) ? parsed : [];
  const areRight =
    isArray(paths) && paths.length === strings.length && paths.every((path) => isArray(path));
  if (!areRight) throw new TypeError('the strings beside a text do not fit it');
  for (const [i, string] of strings.entries()) place(message, paths[i], string);
  return message;
}

// ---------------------------------------------------------------------- on the wire

// The body: u32 number of strings, u32 size of the text, 8 bytes 0; for each string u32 size, u32 encoding; then the text in
// UTF-8 and the strings, each at a multiple of 16.
const ALIGNMENT = 16;
const HEADER_SIZE = 16;
const ENTRY_SIZE = 8;
const LATIN1 = 2;
const UTF16 = 4;

const aligned = (size) => Math.ceil(size / ALIGNMENT) * ALIGNMENT;

/** The bytes of a string, and their encoding. */
function encode(string) {
  const isAscii = Buffer.byteLength(string, 'utf8') === string.length;
  return isAscii
    ? { encoding: LATIN1, bytes: Buffer.from(string, 'latin1') }
    : { encoding: UTF16, bytes: Buffer.from(string, 'utf16le') };
}

/** What partsOf() gave as the parts of a body. */
function bodyOf([text, ...strings]) {
  const bytes = Buffer.from(text, 'utf8');
  const encoded = strings.map(encode);
  const header = Buffer.alloc(HEADER_SIZE + ENTRY_SIZE * encoded.length);
  header.writeUint32LE(encoded.length, 0);
  header.writeUint32LE(bytes.length, 4);
  for (const [i, each] of encoded.entries()) {
    header.writeUint32LE(each.bytes.length, HEADER_SIZE + ENTRY_SIZE * i);
    header.writeUint32LE(each.encoding, HEADER_SIZE + ENTRY_SIZE * i + 4);
  }
  return [header, bytes, ...encoded.map((each) => each.bytes)];
}

/** Reads a body from its beginning to its end. The peer may still write to it, so each byte is looked at once. */
class Reader {
  #body;
  #at;

  constructor(body) {
    this.#body = body;
    this.#at = HEADER_SIZE;
  }

  skip(size) {
    this.#at += size;
  }

  /** The next part as a string. */
  next(size, encoding) {
    const start = aligned(this.#at);
    this.#at = start + size;
    if (this.#at > this.#body.length) throw new RangeError('a string beside a text is cut off');
    return this.#body.toString(encoding, start, this.#at);
  }

  get isAtEnd() {
    return this.#at === this.#body.length;
  }
}

function stringIn(reader, size, encoding) {
  if (encoding === LATIN1) return reader.next(size, 'latin1');
  if (encoding === UTF16 && size % 2 === 0) return reader.next(size, 'utf16le');
  throw new TypeError(`a string beside a text has no encoding ${encoding}`);
}

/** The message of a body. Throws for what bodyOf() does not make. */
function messageIn(body) {
  if (body.length < HEADER_SIZE) throw new RangeError('the strings beside a text are cut off');
  const count = body.readUint32LE(0);
  const textSize = body.readUint32LE(4);
  if (HEADER_SIZE + ENTRY_SIZE * count > body.length) throw new RangeError('too many strings');
  const entries = Array.from({ length: count }, (_, i) => [
    body.readUint32LE(HEADER_SIZE + ENTRY_SIZE * i),
    body.readUint32LE(HEADER_SIZE + ENTRY_SIZE * i + 4),
  ]);
  const reader = new Reader(body);
  reader.skip(ENTRY_SIZE * count);
  const text = reader.next(textSize, 'utf8');
  const strings = entries.map(([size, encoding]) => stringIn(reader, size, encoding));
  if (!reader.isAtEnd) throw new RangeError('there is more than the strings beside a text');
  return messageOf([text, ...strings]);
}

// -------------------------------------------------------------------- of a channel

const MAX_MISSES = 64; // messages in a row without a long one, behind which nobody looks any more

/** Whether a channel's messages are worth looking at: most never hold a long string. */
class LongStrings {
  #native;
  #left = 0;

  constructor(native) {
    this.#native = native;
  }

  /** A large text was sent as it is. */
  sentLarge() {
    if (this.#native.takesStrings()) this.#left = MAX_MISSES;
  }

  /** The parts of a message's body, or null where it is to go as a text. */
  bodyOf(message) {
    if (this.#left === 0 || mayBeInternal(message)) return null;
    const parts = partsOf(message);
    this.#left = parts === null ? this.#left - 1 : MAX_MISSES;
    return parts === null ? null : bodyOf(parts);
  }
}

module.exports = { LongStrings, MIN_LENGTH, bodyOf, messageIn, messageOf, partsOf };
