'use strict';

// A net.Socket on its way to another process: what of it travels, and what becomes of it here until the peer has
// taken it, or when it comes back.

const { net } = require('./builtins');
const internals = require('./node-internals');
const { reportEach } = require('./report-thrown');
const { finishWrites, hasPendingWrites } = require('./pending-writes');

// FW_HANDLE_SOCKET and FW_HANDLE_* of src/forkwire.h.
const SOCKET = 1;
const FLAG = { WRITES_PENDING: 1, ALLOW_HALF_OPEN: 2, COUNTED: 4, KEPT_OPEN: 8 };

/**
 * Half open only where the program asked for it: http makes its sockets so for itself, and ends them itself. Who gets one that was
 * a connection of http's expects what stock gives: an end that is answered.
 */
const isHalfOpen = (socket) => socket.allowHalfOpen && !internals.isOfHttp(socket);

function socketFlags(socket, isCounted) {
  return (isHalfOpen(socket) ? FLAG.ALLOW_HALF_OPEN : 0) | (isCounted ? FLAG.COUNTED : 0);
}

/** A socket on a native handle (or { fd }) with what had been read from it before. */
function makeSocket(source, allowHalfOpen, buffered) {
  const { Socket } = net();
  const socket = new Socket({ ...source, allowHalfOpen, readable: true, writable: true });
  if (buffered?.length > 0) socket.unshift(buffered);
  return socket;
}

/** From here on the socket is an empty shell. Its message is on its way: nothing may stop this. */
function emptySocket(socket, handle) {
  reportEach([
    () => internals.stopReading(handle),
    () => internals.detachHandle(socket),
    () => internals.clearReadable(socket),
    () => internals.releaseHttp(socket),
  ]);
}

/** Takes its timeout off, which may run a method of the program's: before anything else. Gives what puts it back. */
function stopTimeout(socket) {
  const { timeout } = socket;
  socket.setTimeout(0);
  return () => {
    if (timeout > 0) socket.setTimeout(timeout);
  };
}

/** A socket without unsent writes: its handle waits, untouched, for what becomes of it. */
function moveIdle(socket, handle, buffered) {
  const allowHalfOpen = isHalfOpen(socket);
  return {
    flags: 0,
    dup: false,
    leave: () => emptySocket(socket, handle),
    drop: () => handle.close(),
    restore: () => makeSocket({ handle }, allowHalfOpen, buffered),
  };
}

/** A socket with unsent writes: a socket of ours goes on writing them. The channel has a duplicate, since this one
 * closes its handle at an error. */
function moveWriting(socket, handle, buffered, onWritten) {
  const allowHalfOpen = isHalfOpen(socket);
  let writer;
  let isWritten = false;
  let isDropped = false;
  const whenWritten = (error) => {
    isWritten = true;
    onWritten(error);
    if (isDropped) writer.destroy();
  };
  return {
    flags: FLAG.WRITES_PENDING,
    dup: true,
    leave() {
      emptySocket(socket, handle);
      writer = finishWrites(socket, handle, allowHalfOpen, whenWritten);
    },
    drop() {
      isDropped = true;
      if (isWritten) writer.destroy();
    },
    restore() {
      if (buffered?.length > 0) writer.unshift(buffered);
      writer.read(0);
      return writer;
    },
  };
}

/**
 * @param onWritten called with an error or null, where the flags say WRITES_PENDING
 * @param undo puts back what was done to the socket before, where it does not leave
 */
function moveSocket(socket, handle, bookkeeping, onWritten, undo) {
  const buffered = internals.readableBytes(socket); // also where readableLength is 0: half of a character
  const counting = bookkeeping.moving(socket);
  const move = hasPendingWrites(socket)
    ? moveWriting(socket, handle, buffered, onWritten)
    : moveIdle(socket, handle, buffered);
  return {
    type: SOCKET,
    fd: internals.fdOf(handle),
    dup: move.dup,
    flags: move.flags | socketFlags(socket, counting !== undefined),
    key: counting?.key,
    buffered,
    undo,
    detach() {
      reportEach([() => move.leave(), () => counting?.moved()]);
    },
    taken: move.drop,
    /** Without a listener the connection is closed, so that its client sees an end and does not wait. */
    returned(isWanted) {
      if (!isWanted) {
        move.drop();
        counting?.returned();
        return undefined;
      }
      const replacement = move.restore();
      counting?.returned(replacement);
      return replacement;
    },
  };
}

/** A socket that stays usable here as well. */
function keepSocket(socket, handle, bookkeeping) {
  const counting = bookkeeping.keeping(socket);
  return {
    type: SOCKET,
    fd: internals.fdOf(handle),
    dup: true,
    taken() {},
    flags: FLAG.KEPT_OPEN | socketFlags(socket, counting !== undefined),
    key: counting?.key,
    detach: () => counting?.moved(),
    returned() {
      counting?.returned();
      return socket;
    },
  };
}

module.exports = { FLAG, keepSocket, makeSocket, moveSocket, stopTimeout };
