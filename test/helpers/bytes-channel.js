'use strict';

// A channel of this process whose other end is a bare descriptor: any bytes can be written to it.

const EventEmitter = require('node:events');
const net = require('node:net');
const attachment = require('../../lib/attach');
const { DEFAULTS } = require('../../lib/limits');

/** Opens one, writes `chunks` (Buffers) as far as they are taken, closes, and resolves with what was emitted at its end:
 * { messages, errors }. `keeps`: whether messages are to be kept. */
async function feed(chunks, { serialization = 'json', limits = {}, keeps = true } = {}) {
  const [ours, theirs] = attachment.socketPair();
  const target = new EventEmitter();
  const seen = { messages: [], errors: [] };
  const onMessage = (message) => {
    if (keeps) seen.messages.push(message);
  };
  target.on('message', onMessage);
  target.on('internalMessage', onMessage);
  target.on('error', (error) => seen.errors.push(error));
  const ended = new Promise((resolve) => target.once('disconnect', resolve));
  const options = { fd: ours, serialization, trace: '', endsWithClose: false };
  attachment.attach(target, { ...options, limits: { ...DEFAULTS, ...limits } });
  // It reads nothing. Its errors say that the other end has closed: what is written then is lost, as it should be.
  const writer = new net.Socket({ fd: theirs, manualStart: true }).on('error', () => {});
  for (const chunk of chunks) await write(writer, chunk);
  writer.destroy();
  await ended;
  return seen;
}

/** Writes all of it, as far as the other end reads; lets it read meanwhile. */
async function write(writer, bytes) {
  for (let at = 0; at < bytes.length && !writer.destroyed; at += 65536) {
    await new Promise((resolve) => writer.write(bytes.subarray(at, at + 65536), resolve));
    await new Promise(setImmediate);
  }
}

const HEADER = 16;

/** The bytes of a frame. */
function frame(
  kind,
  payload = Buffer.alloc(0),
  { flags = 0, encoding = 0, handles = 0, id = 0 } = {},
) {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(payload.length, 0);
  header.set([kind, flags, encoding, handles], 4);
  header.writeBigUInt64LE(BigInt(id), 8);
  return Buffer.concat([header, payload]);
}

const u64s = (...values) => Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);

const hello = () =>
  frame(
    1,
    Buffer.concat([Buffer.from('forkwire\x01\0\x01\0\0\0\0\0', 'latin1'), u64s(0, 2 ** 30)]),
  );

module.exports = { feed, frame, hello, u64s };
