'use strict';

// Messages to payloads and back: 'json' and 'advanced'. Plain strings, and Buffers in 'advanced', go as they
// are. Numbers are those of fw_encoding_t in src/forkwire.h.

const { forkwireError } = require('./errors');
const { isDisabled } = require('./features');
const { QUOTED_MAX, quoted } = require('./json-text');
const { load } = require('./loader');
const { isInternal } = require('./messages');
const { Buffer, JSONParse, JSONStringify } = require('./primordials');

const JSON_TEXT = 1;
const LATIN1 = 2;
const UTF8 = 3;
const UTF16 = 4;
const V8_VALUE = 5;
const BYTES = 6;
const VIEWS = 7;
const STRINGS = 8;

/** The JSON text; throws what stock throws, and an error where a toJSON() gives nothing that could be sent. */
function stringify(message) {
  const text = JSONStringify(message);
  if (text !== undefined) return text;
  throw forkwireError('ERR_FORKWIRE_EMPTY_MESSAGE');
}

let loadedAdvanced;

/** What 'advanced' needs; a channel of that kind loads it when it is made. */
function loadAdvanced() {
  loadedAdvanced ??= load('./advanced', module);
  return loadedAdvanced;
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
  const { isBuffer, isPlainData, isPlainNumber, serializeWithViews } = loadAdvanced();
  if (isBuffer(message)) return message;
  if (typeof message === 'number' && hasTexts && isPlainNumber(message)) return `${message}`;
  if (hasPlainData && isPlainData(message)) return JSONStringify(message);
  return serializeWithViews(message);
}

const serialize = (message) => loadAdvanced().serialize(message);
const deserialize = (bytes) => loadAdvanced().deserialize(bytes);

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
  advanced: { payloadOf: serialize },
};

/** Whether the payload's bytes are not needed any more once it is decoded. */
const isCopied = (encoding, payload) =>
  (encoding === LATIN1 || encoding === UTF16 || encoding === STRINGS) &&
  typeof payload !== 'string';

const faultsOfData = new WeakSet();

/** Whether an error that decode() or decodeJoined() threw is what the peer sent. Any other is of this process: a file that is
 * gone, a built-in that the program replaced. */
const isFaultOfData = (error) => faultsOfData.has(error);

/** What came on the lane of internal messages. Anything else there is the peer's fault. */
function decodeInternal(encoding, payload) {
  const message = decode(encoding, payload);
  if (isInternal(message)) return message;
  const error = new TypeError('it is no internal message, and came on their lane');
  faultsOfData.add(error);
  throw error;
}

/** method(payload), whose errors are the data's. */
function blaming(method, payload) {
  try {
    return method(payload);
  } catch (error) {
    faultsOfData.add(error);
    throw error;
  }
}

const parse = (text) => blaming(JSONParse, text);

function tooLong() {
  throw new TypeError('the text is too long for a string');
}

const OWNED_FROM = 65_536; // bytes, as kKeepFrom in src/binding/bodies.cc

/** Bytes that lie where they arrived may go to other threads, as in stock: Node marks memory of an addon as not transferable,
 * but not what transfer() (22) makes of it. */
function transferable(bytes) {
  const { buffer } = bytes;
  if (bytes.length < OWNED_FROM || buffer.transfer === undefined) return bytes;
  return Buffer.from(buffer.transfer());
}

/** The message of a payload that came alone. Throws when it cannot be decoded. */
function decode(encoding, payload) {
  if (payload === undefined) return blaming(tooLong);
  switch (encoding) {
    case JSON_TEXT:
      return parse(payload);
    case V8_VALUE:
      return blaming(loadAdvanced().deserialize, payload);
    case VIEWS:
      return blaming(loadAdvanced().deserializeWithViews, transferable(payload));
    case LATIN1: // long texts come as bytes
      return typeof payload === 'string' ? payload : payload.toString('latin1');
    case UTF16:
      return typeof payload === 'string' ? payload : payload.toString('utf16le');
    case STRINGS:
      return blaming(load('./long-strings', module).messageIn, payload);
    default:
      return transferable(payload);
  }
}

/** Whether a payload is an internal message to whom it is sent. One with large views beside it is none. */
const isInternalPayload = (encoding, payload) =>
  (encoding === JSON_TEXT || encoding === V8_VALUE) && isInternal(decode(encoding, payload));

/** The messages whose JSON texts were joined to an array of `count`. Where that does not parse, or not to as many, since one
 * text may look like two, `sizes()` gives their lengths: those before the broken one are appended to `whole`,
 * then it throws. */
function decodeJoined(text, count, sizes, whole) {
  try {
    const parsed = JSONParse(text);
    if (parsed.length === count) return parsed;
  } catch {
    // One of them is broken; the loop below finds out which.
  }
  let start = 1;
  for (const size of sizes()) {
    whole.push(parse(text.slice(start, start + size)));
    start += size + 1;
  }
  return whole;
}

module.exports = {
  BYTES,
  JSON_TEXT,
  LATIN1,
  STRINGS,
  UTF16,
  UTF8,
  V8_VALUE,
  VIEWS,
  codecs,
  decode,
  decodeInternal,
  decodeJoined,
  isCopied,
  isFaultOfData,
  isInternalPayload,
  loadAdvanced,
  nodeCodecs,
  deserialize,
  serialize,
  encodingOf,
};
