'use strict';

// What can be sent beside a message, and how: one table, kind -> { send, got }.
//
// send(object, options, bookkeeping, onWritten) gives null where there is no descriptor to send (the message then goes
// alone), GONE where there was a connection that is no more (the message then does not go either), or what travels:
//   { type, fd, dup, flags, key?, buffered?, dgramType?, detach(), taken(), returned() }
// and perhaps undo(), which the channel calls when the message was not accepted. It calls `detach` once it was, and
// later `taken` or `returned` once; `returned` gives the object to offer to 'undelivered'. Until `detach` nothing is
// touched that undo() does not put back, and what of the program's may throw in it is kept from doing so there. Where
// flags say WRITES_PENDING, onWritten(error | null) is called when the writes that were not sent yet are through.
//
// got(fd, info, bookkeeping, ready, failed) makes the object of a descriptor that is ours from then on, and calls
// ready(object), at once or, for servers and bound sockets, when they are usable; or failed() when they will
// not be. It throws when no object came to be: the descriptor is then still the caller's. Where the writes of
// the one that sent it are pending, info.holdWrites(gate) is called first.

const { dgram, net } = require('./builtins');
const { forkwireError, invalidHandleType } = require('./errors');
const { FLAG, keepSocket, makeSocket, moveSocket, stopTimeout } = require('./moved-socket');
const internals = require('./node-internals');
const { Gate } = require('./pending-writes');
const { reportThrown } = require('./report-thrown');

// fw_handle_type_t of src/forkwire.h.
const TYPE = { SOCKET: 1, SERVER: 2, NATIVE: 3, DGRAM: 4, DGRAM_NATIVE: 5, BOUND: 6 };

/** A client may go away between any two events: its socket is no mistake of the program that sends it. */
const GONE = Object.freeze({ isGone: true });

const noop = () => {};

/** A handle of which the channel keeps a duplicate: the sender's own object stays as it is. */
function shared(type, object, handle) {
  if (!handle || internals.fdOf(handle) < 0) return null;
  return duplicated(type, object, handle);
}

/** The same where a handle without a descriptor is an error, EBADF: a dgram.Socket that is not bound. */
function duplicated(type, object, handle) {
  const fd = internals.fdOf(handle);
  return { type, fd, dup: true, flags: 0, detach: noop, taken: noop, returned: () => object };
}

/** Without loading node:tls where nobody else did. */
const isTls = (socket) =>
  socket.encrypted === true && socket instanceof require('node:tls').TLSSocket;

/** What the program itself did wrong, or null. */
function faultOf(socket) {
  if (isTls(socket))
    return 'a TLSSocket has state that cannot travel. Terminate TLS here, or send the net.Socket before the handshake';
  if (socket.connecting)
    return "the socket is still connecting. Send it when it has emitted 'connect'";
  return null;
}

/** The classic child only calls socket.end(): nobody reads, so the client's bytes would keep the socket open. */
function resumeWhenEnded(socket) {
  socket.once('finish', () => {
    const isUnread = socket.readableFlowing === null && socket.listenerCount('readable') === 0;
    if (isUnread) socket.resume();
  });
}

/** A bound socket belongs to one process: the sender's is adopted, as by a server. */
function moveBound(bound, fd) {
  let handle;
  return {
    type: TYPE.BOUND,
    fd,
    dup: false,
    flags: 0,
    detach() {
      reportThrown(() => {
        handle = internals.takeBoundHandle(bound);
      });
    },
    taken: () => handle?.close(),
    returned(isWanted) {
      if (isWanted) return handle ? internals.boundSocketFrom(handle) : bound;
      handle?.close();
      return undefined;
    },
  };
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

function travelOf(socket, keepOpen, bookkeeping, onWritten, undo) {
  if (socket.destroyed) return GONE;
  const handle = internals.handleOf(socket);
  if (!handle) return null; // never connected, or sent before
  if (internals.fdOf(handle) < 0) return GONE;
  if (keepOpen) return keepSocket(socket, handle, bookkeeping);
  return moveSocket(socket, handle, bookkeeping, onWritten, undo);
}

const table = {
  'net.Socket': {
    type: TYPE.SOCKET,
    matches: (object) => object instanceof net().Socket,
    send(socket, options, bookkeeping, onWritten) {
      const fault = faultOf(socket);
      if (fault) throw forkwireError('ERR_FORKWIRE_HANDLE_STATE', fault);
      const { keepOpen } = options;
      const undo = keepOpen || !internals.handleOf(socket) ? noop : stopTimeout(socket);
      try {
        return travelOf(socket, keepOpen, bookkeeping, onWritten, undo);
      } catch (error) {
        undo();
        throw error;
      }
    },
    got(fd, info, bookkeeping, ready) {
      const allowHalfOpen = (info.flags & FLAG.ALLOW_HALF_OPEN) !== 0;
      const handle = internals.streamHandleFrom(fd, info.kind);
      const socket = makeSocket({ handle }, allowHalfOpen, info.buffered);
      if (info.key !== undefined) bookkeeping.arrived(socket, info.key);
      if (info.flags & FLAG.WRITES_PENDING) info.holdWrites(new Gate(socket));
      resumeWhenEnded(socket);
      ready(socket);
    },
  },

  'net.Server': {
    type: TYPE.SERVER,
    matches: (object) => object instanceof net().Server,
    send: (server) => shared(TYPE.SERVER, server, internals.handleOf(server)),
    got(fd, info, _bookkeeping, ready, failed) {
      const { Server } = net();
      const server = new Server();
      whenUsable(server, ready, failed);
      internals.listenOn(server, internals.streamHandleFrom(fd, info.kind));
    },
  },

  'net.Native': {
    type: TYPE.NATIVE,
    matches: (object) => ['TCP', 'Pipe'].includes(internals.nativeClassOf(object)),
    send: (handle) => shared(TYPE.NATIVE, handle, handle),
    got: (fd, info, _bookkeeping, ready) => ready(internals.streamHandleFrom(fd, info.kind)),
  },

  'net.BoundSocket': {
    type: TYPE.BOUND,
    isThere: () => net().BoundSocket !== undefined, // from 26 on
    matches: (object) => object instanceof net().BoundSocket,
    send(bound) {
      if (bound.isPipe) throw refusal(bound);
      return moveBound(bound, bound.fd());
    },
    got: (fd, info, _bookkeeping, ready) =>
      ready(internals.boundSocketFrom(internals.streamHandleFrom(fd, info.kind))),
  },

  'dgram.Socket': {
    type: TYPE.DGRAM,
    matches: (object) => object instanceof dgram().Socket,
    send(socket) {
      const handle = internals.dgramHandleOf(socket);
      return handle && { ...duplicated(TYPE.DGRAM, socket, handle), dgramType: socket.type };
    },
    got(fd, _info, _bookkeeping, ready, failed) {
      const handle = internals.udpHandleFrom(fd);
      const socket = dgram().createSocket(internals.udpTypeOf(handle));
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

for (const [name, conversion] of Object.entries(table)) conversion.name = name;

let all;

/** The entries of the table for what this Node has. */
function conversions() {
  all ??= Object.values(table).filter(({ isThere }) => !isThere || isThere());
  return all;
}

const refusal = (object) =>
  invalidHandleType(
    object,
    conversions().map(({ name }) => name),
  );

/** The entry of the table for an object; throws for what cannot be sent. */
function conversionOf(object) {
  for (const conversion of conversions()) {
    if (conversion.matches(object)) return conversion;
  }
  throw refusal(object);
}

/** Makes the object for an arrived handle; throws when its type is not known here. */
function got(fd, info, bookkeeping, ready, failed) {
  conversions()
    .find(({ type }) => type === info.type)
    .got(fd, info, bookkeeping, ready, failed);
}

const isKnown = (type) => conversions().some((conversion) => conversion.type === type);

/** The number of a kind of handle by its name, as stock Node's messages have it; 0 for one that is not known here. */
const typeNamed = (kind) => conversions().find(({ name }) => name === kind)?.type ?? 0;

module.exports = { FLAG, TYPE, conversionOf, conversions, got, isKnown, typeNamed };
