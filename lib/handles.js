'use strict';

// What can be sent beside a message, and how: one table, kind -> { send, got }.
//
// send(object, options, bookkeeping) gives null where there is no descriptor to send (the message then goes
// alone), or what travels:
//   { type, fd, dup, flags, key?, buffered?, detach(), taken(), returned() }
// The channel calls `detach` once the message was accepted, and later `taken` or `returned` once; `returned`
// gives the object to offer to 'undelivered'. Nothing is touched before `detach`.
//
// got(fd, info, bookkeeping, ready, failed) makes the object of a descriptor that is ours from then on, and calls
// ready(object), at once or, for servers and bound sockets, when they are usable; or failed() when they will
// not be. It throws when no object came to be: the descriptor is then still the caller's.

const dgram = require('node:dgram');
const net = require('node:net');
const tls = require('node:tls');
const { forkwireError, nodeError } = require('./errors');
const internals = require('./node-internals');

// fw_handle_type_t and FW_HANDLE_* of src/forkwire.h.
const TYPE = { SOCKET: 1, SERVER: 2, NATIVE: 3, DGRAM: 4, DGRAM_NATIVE: 5 };
const FLAG = { WRITES_PENDING: 1, ALLOW_HALF_OPEN: 2, COUNTED: 4, KEPT_OPEN: 8 };

const noop = () => {};

/** A handle of which the channel keeps a duplicate: the sender's own object stays as it is. */
function shared(type, object, handle) {
  if (!handle || internals.fdOf(handle) < 0) return null;
  const fd = internals.fdOf(handle);
  return { type, fd, dup: true, flags: 0, detach: noop, taken: noop, returned: () => object };
}

function stateOf(socket) {
  if (socket instanceof tls.TLSSocket) return 'a TLSSocket has state that cannot travel';
  if (socket.connecting) return 'the socket is still connecting';
  if (socket.destroyed) return 'the socket is destroyed';
  return null;
}

function socketFlags(socket, isCounted) {
  return (socket.allowHalfOpen ? FLAG.ALLOW_HALF_OPEN : 0) | (isCounted ? FLAG.COUNTED : 0);
}

/** A socket on a native handle (or { fd }) with what had been read from it before. */
function makeSocket(source, allowHalfOpen, buffered) {
  const socket = new net.Socket({ ...source, allowHalfOpen, readable: true, writable: true });
  if (buffered?.length > 0) socket.unshift(buffered);
  return socket;
}

function moveSocket(socket, bookkeeping) {
  const handle = internals.handleOf(socket);
  const buffered = socket.readableLength > 0 ? internals.readableBytes(socket) : undefined;
  const { allowHalfOpen } = socket;
  const counting = bookkeeping.moving(socket);
  return {
    type: TYPE.SOCKET,
    fd: internals.fdOf(handle),
    dup: false,
    flags: socketFlags(socket, counting !== undefined),
    key: counting?.key,
    buffered,
    detach() {
      internals.stopReading(handle);
      internals.detachHandle(socket);
      internals.clearReadable(socket);
      socket.setTimeout(0);
      internals.releaseHttp(socket);
      counting?.moved();
    },
    taken() {
      handle.close();
    },
    /** Without a listener the connection is closed, so that its client sees an end and does not wait. */
    returned(isWanted) {
      if (!isWanted) {
        handle.close();
        counting?.returned();
        return undefined;
      }
      const replacement = makeSocket({ handle }, allowHalfOpen, buffered);
      counting?.returned(replacement);
      return replacement;
    },
  };
}

/** The classic child only calls socket.end(): nobody reads, so the client's bytes would keep the socket open. */
function resumeWhenEnded(socket) {
  socket.once('finish', () => {
    const isUnread = socket.readableFlowing === null && socket.listenerCount('readable') === 0;
    if (isUnread) socket.resume();
  });
}

/** Calls ready(object) at its 'listening', or failed() at its 'error'. */
function whenUsable(object, ready, failed) {
  const onListening = () => {
    object.removeListener('error', onError);
    ready(object);
  };
  const onError = () => {
    object.removeListener('listening', onListening);
    object.close();
    failed();
  };
  object.once('listening', onListening);
  object.once('error', onError);
}

const conversions = {
  'net.Socket': {
    type: TYPE.SOCKET,
    matches: (object) => object instanceof net.Socket,
    send(socket, options, bookkeeping) {
      const fault = stateOf(socket);
      if (fault) throw forkwireError('ERR_FORKWIRE_HANDLE_STATE', fault);
      const handle = internals.handleOf(socket);
      if (!handle || internals.fdOf(handle) < 0) return null;
      if (!options.keepOpen) return moveSocket(socket, bookkeeping);
      return {
        ...shared(TYPE.SOCKET, socket, handle),
        flags: FLAG.KEPT_OPEN | socketFlags(socket, false),
      };
    },
    got(fd, info, bookkeeping, ready) {
      const allowHalfOpen = (info.flags & FLAG.ALLOW_HALF_OPEN) !== 0;
      const socket = makeSocket({ fd }, allowHalfOpen, info.buffered);
      if (info.key !== undefined) bookkeeping.arrived(socket, info.key);
      resumeWhenEnded(socket);
      ready(socket);
    },
  },

  'net.Server': {
    type: TYPE.SERVER,
    matches: (object) => object instanceof net.Server,
    send: (server) => shared(TYPE.SERVER, server, internals.handleOf(server)),
    got(fd, _info, _bookkeeping, ready, failed) {
      // Not listen({ fd }): in a cluster worker that would ask the primary.
      const server = new net.Server();
      whenUsable(server, ready, failed);
      server.listen(internals.streamHandleFrom(fd));
    },
  },

  'net.Native': {
    type: TYPE.NATIVE,
    matches: (object) => ['TCP', 'Pipe'].includes(internals.nativeClassOf(object)),
    send: (handle) => shared(TYPE.NATIVE, handle, handle),
    got: (fd, _info, _bookkeeping, ready) => ready(internals.streamHandleFrom(fd)),
  },

  'dgram.Socket': {
    type: TYPE.DGRAM,
    matches: (object) => object instanceof dgram.Socket,
    send: (socket) => shared(TYPE.DGRAM, socket, internals.dgramHandleOf(socket)),
    got(fd, _info, _bookkeeping, ready, failed) {
      const handle = internals.udpHandleFrom(fd);
      const socket = dgram.createSocket(internals.udpTypeOf(handle));
      whenUsable(socket, ready, failed);
      socket.bind(handle);
    },
  },

  'dgram.Native': {
    type: TYPE.DGRAM_NATIVE,
    matches: (object) => internals.nativeClassOf(object) === 'UDP',
    send: (handle) => shared(TYPE.DGRAM_NATIVE, handle, handle),
    got: (fd, _info, _bookkeeping, ready) => ready(internals.udpHandleFrom(fd)),
  },
};

const byType = new Map(Object.values(conversions).map((conversion) => [conversion.type, conversion]));

/** What travels for this object, or null; throws for what cannot be sent. */
function send(object, options, bookkeeping) {
  for (const conversion of Object.values(conversions)) {
    if (conversion.matches(object)) return conversion.send(object, options, bookkeeping);
  }
  throw nodeError('ERR_INVALID_HANDLE_TYPE');
}

/** Makes the object for an arrived handle; throws when its type is not known here. */
function got(fd, info, bookkeeping, ready, failed) {
  byType.get(info.type).got(fd, info, bookkeeping, ready, failed);
}

const isKnown = (type) => byType.has(type);

module.exports = { FLAG, TYPE, conversions, got, isKnown, send };
