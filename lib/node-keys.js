'use strict';

// A server's key on stock Node's wire is any text. forkwire's own keys, 64-bit numbers, are 16 hexadecimal digits there.

const OURS = /^[0-9a-f]{16}$/;

const keyToWire = (key) => (typeof key === 'bigint' ? key.toString(16).padStart(16, '0') : key);

/** A BigInt where a forkwire made the key, else the text itself. */
const keyFromWire = (text) => (OURS.test(text) ? BigInt(`0x${text}`) : text);

module.exports = { keyFromWire, keyToWire };
