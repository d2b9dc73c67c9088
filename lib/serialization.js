'use strict';

// Messages to payloads and back: 'json' and 'advanced'. Plain strings, and Buffers in 'advanced', go as they
// are. Numbers are those of fw_encoding_t in src/forkwire.h.

const v8 = require('node:v8');
const { isArrayBufferView } = require('node:util').types;
const { forkwireError } = require('./errors');
const { isDisabled } = require('./features');
const { QUOTED_MAX, quoted } = require('./json-text');
const { isPlainData, isPlainNumber } = require('./plain-data');
const { ViewsIn, ViewsOut, goesBeside } = require('./views');

const JSON_TEXT = 1;
const LATIN1 = 2;
const UTF8 = 3;
const UTF16 = 4;
const V8_VALUE = 5;
const BYTES = 6;
const VIEWS = 7;

// Tags of a host object, the first two as in Node's own codec: a view keeps its class, anything else becomes a plain object.
// A large view is beside the value.
const VIEW = 0;
const OTHER = 1;
const VIEW_BESIDE = 2;

class Serializer extends v8.DefaultSerializer {
  views = null; // where large ones go beside the value

  _writeHostObject(object) {
    if (isArrayBufferView(object)) {
      this.#writeView(object);
      return;
    }
    this.writeUint32(OTHER);
    this.writeValue({ ...object });
  }

  #writeView(view) {
    if (this.views !== null && goesBeside(view)) {
      this.writeUint32(VIEW_BESIDE);
      this.views.add(this, view);
    } else {
      this.writeUint32(VIEW);
      super._writeHostObject(view);
    }
  }
}

class Deserializer extends v8.DefaultDeserializer {
  views = null;

  _readHostObject() {
    const tag = this.readUint32();
    if (tag === VIEW_BESIDE && this.views !== null) return this.views.next(this);
    return tag === VIEW ? super._readHostObject() : this.readValue();
  }
}

function serialize(message, views = null) {
  const serializer = new Serializer();
  serializer.views = views;
  serializer.writeHeader();
  serializer.writeValue(message);
  return serializer.releaseBuffer();
}

/** The payload, or its parts where large views go beside the value. */
function serializeWithViews(message) {
  const views = new ViewsOut();
  const value = serialize(message, views);
  return views.isEmpty ? value : views.body(value);
}

function deserialize(bytes, views = null) {
  const deserializer = new Deserializer(bytes);
  deserializer.views = views;
  deserializer.readHeader();
  return deserializer.readValue();
}

function deserializeWithViews(body) {
  const views = new ViewsIn(body);
  return deserialize(views.value, views);
}

/** The JSON text; throws what stock throws, and an error where a toJSON() gives nothing that could be sent. */
function stringify(message) {
  const text = JSON.stringify(message);
  if (text !== undefined) return text;
  throw forkwireError('ERR_FORKWIRE_EMPTY_MESSAGE');
}

const hasTexts = !isDisabled('texts');
const hasPlainData = !isDisabled('plain-data');

/** A short string is JSON text, since texts travel together; a longer one goes as it is. */
const stringPayload = (string) =>
  hasTexts && string.length <= QUOTED_MAX ? quoted(string) : string;

/** JSON text without JSON.stringify() where that is as good. */
function jsonPayload(message) {
  if (typeof message === 'string') return stringPayload(message);
  if (typeof message === 'number' && hasTexts && Number.isFinite(message)) return `${message}`;
  return stringify(message);
}

function advancedPayload(message) {
  if (typeof message === 'string') return stringPayload(message);
  if (typeof message === 'number' && hasTexts && isPlainNumber(message)) return `${message}`;
  if (Buffer.isBuffer(message)) return message;
  if (hasPlainData && isPlainData(message)) return JSON.stringify(message);
  return serializeWithViews(message);
}

/** The encoding of what payloadOf() gave for a message. */
function encodingOf(message, payload) {
  if (payload === message) return typeof message === 'string' ? LATIN1 : BYTES;
  if (typeof payload === 'string') return JSON_TEXT;
  return Array.isArray(payload) ? VIEWS : V8_VALUE;
}

// payloadOf(message) gives a string or bytes, or an array of parts for VIEWS. A string of encoding LATIN1 may be any string.
const codecs = { json: { payloadOf: jsonPayload }, advanced: { payloadOf: advancedPayload } };

// On stock Node's wire: no message goes as it is.
const nodeCodecs = {
  json: { payloadOf: stringify },
  advanced: { payloadOf: (message) => serialize(message) },
};

/** Whether the payload's bytes are not needed any more once it is decoded. */
const isCopied = (encoding, payload) =>
  (encoding === LATIN1 || encoding === UTF16) && typeof payload !== 'string';

/** The message of a payload that came alone. Throws when it cannot be decoded. */
function decode(encoding, payload) {
  if (payload === undefined) throw new TypeError('the text is too long for a string');
  switch (encoding) {
    case JSON_TEXT:
      return JSON.parse(payload);
    case V8_VALUE:
      return deserialize(payload);
    case VIEWS:
      return deserializeWithViews(payload);
    case LATIN1: // long texts come as bytes
      return typeof payload === 'string' ? payload : payload.toString('latin1');
    case UTF16:
      return typeof payload === 'string' ? payload : payload.toString('utf16le');
    default:
      return payload;
  }
}

/** The messages whose JSON texts were joined to an array of `count`. Where that does not parse, or not to as many, since one
 * text may look like two, `sizes()` gives their lengths: those before the broken one are appended to `whole`,
 * then it throws. */
function decodeJoined(text, count, sizes, whole) {
  try {
    const parsed = JSON.parse(text);
    if (parsed.length === count) return parsed;
  } catch {
    // One of them is broken; the loop below finds out which.
  }
  let start = 1;
  for (const size of sizes()) {
    whole.push(JSON.parse(text.slice(start, start + size)));
    start += size + 1;
  }
  return whole;
}

module.exports = {
  BYTES,
  JSON_TEXT,
  LATIN1,
  UTF16,
  UTF8,
  V8_VALUE,
  VIEWS,
  codecs,
  decode,
  decodeJoined,
  isCopied,
  nodeCodecs,
  serialize,
  encodingOf,
};
