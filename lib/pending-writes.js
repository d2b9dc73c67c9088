'use strict';

// Unsent writes of a socket that is sent away: its old process finishes them, and the new one holds its own
// writes back until then, so that the client gets every byte, once and in order.

const { net } = require('./builtins');
const internals = require('./node-internals');
const { reportThrown } = require('./report-thrown');
const { Buffer } = require('./primordials');

const noop = () => {};

const gates = new WeakMap(); // socket -> Gate, while it is closed
const writers = new WeakSet(); // sockets that finish the writes of others, until that is done

/** Keeps a socket from writing and ending until open(), or destroys it with fail(). */
class Gate {
  #socket;
  #held = null; // the one operation that the stream has under way: { chunks, resume }

  constructor(socket) {
    this.#install(socket);
  }

  #install(socket) {
    this.#socket = socket;
    gates.set(socket, this);
    socket._write = (chunk, encoding, callback) => {
      this.#hold([{ chunk, encoding, callback }], () => socket._write(chunk, encoding, callback));
    };
    socket._writev = (chunks, callback) => {
      const entries = chunks.map(({ chunk, encoding }) => ({ chunk, encoding }));
      entries.at(-1).callback = callback;
      this.#hold(entries, () => socket._writev(chunks, callback));
    };
    socket._final = (callback) => this.#hold([], () => socket._final(callback));
  }

  #hold(chunks, resume) {
    this.#held = { chunks, resume };
  }

  #uninstall() {
    const socket = this.#socket;
    gates.delete(socket);
    delete socket._write;
    delete socket._writev;
    delete socket._final;
  }

  /** The chunks under way, which the socket will not write any more. */
  takeHeld() {
    const chunks = this.#held?.chunks ?? [];
    this.#held = null;
    return chunks;
  }

  /** The gate now stands before another socket on the same connection. */
  moveTo(socket) {
    this.#uninstall();
    this.#install(socket);
  }

  open() {
    this.#uninstall();
    const held = this.#held;
    this.#held = null;
    held?.resume();
  }

  fail(error) {
    this.#uninstall();
    this.#socket.destroy(error);
  }
}

/** Whether bytes of this socket are still to be written, by us or by the process that it came from. What the kernel is taking
 * from the socket whose writes this one finishes is in no length of it. */
const hasPendingWrites = (socket) =>
  socket.writableLength > 0 || gates.has(socket) || writers.has(socket);

/**
 * Finishes the writes of a socket that gave its handle away.
 * @param done called with an error or null when all is written
 * @returns the socket that writes; it reads nothing
 */
function finishWrites(socket, handle, allowHalfOpen, done) {
  const gate = gates.get(socket);
  const chunks = [...(gate?.takeHeld() ?? []), ...internals.takeBufferedWrites(socket)];
  const { Socket } = net();
  const writer = new Socket({ handle, allowHalfOpen, manualStart: true });
  reportThrown(() => socket.on('error', noop)); // of the write under way: a client that goes ends no process
  gate?.moveTo(writer);
  writers.add(writer);
  writer.once('error', done);
  for (const { chunk, encoding, callback } of chunks) writer.write(chunk, encoding, callback);
  // Behind everything, also behind what the kernel is taking just now.
  writer.write(Buffer.alloc(0), (error) => {
    if (error) return;
    writers.delete(writer);
    writer.removeListener('error', done);
    done(null);
  });
  return writer;
}

module.exports = { Gate, finishWrites, hasPendingWrites };
