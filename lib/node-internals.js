'use strict';

// The one file that touches what Node does not document. Each function says what it reaches; all of it was
// checked on 20.20, 22.23, 24.21 and 26.10.

const { Buffer, nextTick, nodeProcess } = require('./primordials');

/** Whether this is no Worker's thread, where abort() is refused (its `disabled`). node:worker_threads takes long to load. */
const isMainThread = () => nodeProcess.abort?.disabled !== true;

// ------------------------------------------------------------------ handles

/** The libuv handle behind a net.Socket or net.Server, or null (`_handle`). */
const handleOf = (object) => object._handle ?? null;

let dgramState;

/** The UDP handle behind a dgram.Socket: in its state object; `socket._handle` warns, and is gone on 26. */
function dgramHandleOf(socket) {
  dgramState ??= Object.getOwnPropertySymbols(socket).find(
    (symbol) => symbol.description === 'state symbol',
  );
  return socket[dgramState]?.handle ?? null;
}

/** The descriptor of a libuv handle, negative without one (`fd`). */
const fdOf = (handle) => handle.fd ?? -1;

const isNativeClass = (value) =>
  typeof value === 'function' &&
  /\[native code\]\s*\}$/.test(Function.prototype.toString.call(value));

const nativeNames = new WeakMap(); // class -> its name, or null for one that is not native: looking takes long

/** The class name of a native handle object (TCP, Pipe, UDP, ...), or null for anything else. */
function nativeClassOf(object) {
  const nativeClass = Object.getPrototypeOf(object)?.constructor;
  if (typeof nativeClass !== 'function') return null;
  let name = nativeNames.get(nativeClass);
  if (name === undefined) {
    name = isNativeClass(nativeClass) ? nativeClass.name : null;
    nativeNames.set(nativeClass, name);
  }
  return name;
}

/** Opens a descriptor with a handle; its class's constructor takes what the handle is for, 0 for a connection. */
function openHandle(Handle, fd) {
  const handle = new Handle(0);
  const status = handle.open(fd);
  if (status === 0) return handle;
  handle.close();
  throw Object.assign(new Error('open'), { errno: status });
}

const streamClasses = new Map(); // kind -> class of its handles

/**
 * A real TCP or Pipe handle on a descriptor, made without process.binding() (which --permission refuses): the first
 * one of each kind is a net.Socket's.
 * @param kind fw_fd_kind_t; 0 or undefined where it is not known
 */
function streamHandleFrom(fd, kind) {
  const known = streamClasses.get(kind);
  if (known) return openHandle(known, fd);
  const net = require('node:net');
  const socket = new net.Socket({ fd, manualStart: true, readable: true, writable: true });
  const handle = detachHandle(socket);
  if (kind) streamClasses.set(kind, handle.constructor);
  return handle;
}

let Udp;

/** A real UDP handle on a descriptor. */
function udpHandleFrom(fd) {
  if (!Udp) {
    const socket = require('node:dgram').createSocket('udp4');
    Udp = dgramHandleOf(socket).constructor;
    socket.close();
  }
  return openHandle(Udp, fd);
}

/** 'udp4' or 'udp6', from the address of a UDP handle (`getsockname`). */
function udpTypeOf(handle) {
  const address = {};
  handle.getsockname(address);
  return address.family === 'IPv6' ? 'udp6' : 'udp4';
}

const symbolOf = (prototype, description) =>
  Object.getOwnPropertySymbols(prototype).find((symbol) => symbol.description === description);

/** Takes the handle out of a net.BoundSocket (26), by the protocol for other threads; throws what Node throws when it
 * has none any more. */
function takeBoundHandle(bound) {
  const { BoundSocket } = require('node:net');
  return bound[symbolOf(BoundSocket.prototype, 'messaging_transfer_symbol')]().data.handle;
}

/** A net.BoundSocket on a bound TCP handle. */
function boundSocketFrom(handle) {
  const net = require('node:net');
  const bound = new net._TransferredBoundSocket();
  bound[symbolOf(net.BoundSocket.prototype, 'messaging_deserialize_symbol')]({ handle });
  return bound;
}

/** Takes the handle away from its socket: no event of it reaches the socket any more. */
function detachHandle(socket) {
  const handle = socket._handle;
  socket._handle = null;
  return handle;
}

const noop = () => {};

/** No byte is read from now on. */
function stopReading(handle) {
  handle.readStop();
  handle.reading = false;
  handle.onread = noop;
}

// ------------------------------------------------------------------ streams

/** Bytes of a character that setEncoding() holds back until the rest comes (StringDecoder's lastChar). */
function partialCharacter(decoder) {
  if (!decoder || !(decoder.lastNeed > 0)) return [];
  return [decoder.lastChar.subarray(0, decoder.lastTotal - decoder.lastNeed)];
}

const NO_BYTES = Buffer.alloc(0);

/** What a socket has read and nobody took, as bytes (`_readableState.buffer`: an array on newer versions). */
function readableBytes(socket) {
  const { buffer, bufferIndex = 0, length, decoder, encoding } = socket._readableState;
  if (length === 0 && !decoder) return NO_BYTES;
  const chunks = Array.isArray(buffer) ? buffer.slice(bufferIndex) : [...buffer];
  const bytes = chunks.map((chunk) =>
    typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk,
  );
  return Buffer.concat([...bytes, ...partialCharacter(decoder)]);
}

/** Forgets what readableBytes() gave, so that the old socket never shows it. */
function clearReadable(socket) {
  const state = socket._readableState;
  if (Array.isArray(state.buffer)) state.buffer.length = 0;
  else state.buffer.clear();
  if (state.bufferIndex !== undefined) state.bufferIndex = 0;
  state.length = 0;
}

/** Takes the writes that a socket holds in its own buffer (`_writableState.buffered`): { chunk, encoding, callback }. The
 * one that the kernel is taking stays with it. */
function takeBufferedWrites(socket) {
  const state = socket._writableState;
  const writes = state.buffered?.slice(state.bufferedIndex) ?? [];
  for (const { chunk } of writes) state.length -= state.objectMode ? 1 : chunk.length;
  if (state.buffered) state.buffered.length = 0;
  state.bufferedIndex = 0;
  return writes;
}

/** A connection inside an HTTP server gives its parser and response back, as stock does when it sends one. */
function releaseHttp(socket) {
  const { parser } = socket;
  if (!parser) return;
  const { freeParser, HTTPParser } = require('node:_http_common'); // takes long to load
  if (!(parser instanceof HTTPParser)) return;
  freeParser(parser, null, socket);
  // In a 'request' listener the parser goes on when that returns, and enters the server's list of connections once
  // more, without a socket: server.close() would fail on it.
  nextTick(() => {
    if (parser.socket === null) parser.remove();
  });
  socket._httpMessage?.detachSocket(socket);
}

// ------------------------------------------------------------------ servers

/** The server that accepted a socket and counts it (`_server`; `server` may also be one that it was given to). */
const serverOf = (socket) => socket._server ?? null;

/** Whether a server of http accepted a socket (`httpAllowHalfOpen`, which every one of them has). */
const isOfHttp = (socket) => serverOf(socket)?.httpAllowHalfOpen === false;

/** Counts connections that the server did not accept or close itself (`_connections`). */
function addConnections(server, count) {
  server._connections += count;
}

const connectionsOf = (server) => server._connections;

/** A socket's closing will be counted by this server. */
function giveToServer(socket, server) {
  socket._server = server;
  socket.server = server;
}

/** Its closing will not: an empty shell may still be destroyed. */
function leaveServer(socket) {
  socket._server = null;
}

/** Has the server ask `list` in getConnections() and close() (`_setupWorker`). */
function addWorkerList(server, list) {
  server._setupWorker(list);
}

/** The last list is gone: without this both calls of the server would wait for ever (`_usingWorkers`). */
function forgetWorkersIfNone(server) {
  if (server._workers.length === 0) server._usingWorkers = false;
}

/**
 * Has a server listen on a handle of a TCP or unix socket (`_handle`, `_listen2`). listen() takes only one of TCP: of any other
 * it takes the number, makes a second handle of it, and in a cluster worker asks the primary for it.
 */
function listenOn(server, handle) {
  server._handle = handle;
  server._listen2(null, -1, -1);
}

/** Whether a server was closed, though connections of it may be open (`_handle`). */
const isClosed = (server) => server._handle === null;

/** Has a closed server emit 'close' if it has no connection left (`_emitCloseIfDrained`). */
const closeIfDrained = (server) => server._emitCloseIfDrained();

/** Calls `listener` whenever a connection of the server closed, which is when Node asks whether it is drained. */
function onConnectionClosed(server, listener) {
  const original = server._emitCloseIfDrained;
  Object.defineProperty(server, '_emitCloseIfDrained', {
    __proto__: null,
    value: function emitCloseIfDrained() {
      Reflect.apply(original, this, []);
      listener();
    },
    configurable: true,
    writable: true,
  });
}

// ---------------------------------------------------------- child processes

/** One more stream to wait for before 'close' (`_closesNeeded`). */
function expectClose(child) {
  child._closesNeeded++;
}

/** That stream ended: emits 'close' when it was the last. */
function countClose(child) {
  child._closesGot++;
  if (child._closesGot === child._closesNeeded) {
    child.emit('close', child.exitCode, child.signalCode);
  }
}

/** Calls `before(exitCode, signalCode, proceed)` when the exit is noticed; `proceed()` lets Node go on with it. */
function interceptExit(child, before) {
  const handle = child._handle;
  const original = handle.onexit;
  handle.onexit = (exitCode, signalCode) =>
    before(exitCode, signalCode, () => Reflect.apply(original, handle, [exitCode, signalCode]));
}

// ------------------------------------------------------- Node's own channel

const CHANNEL_PROPERTIES = [
  'channel',
  '_channel',
  '_handleQueue',
  '_pendingMessage',
  'send',
  '_send',
  'connected',
  'disconnect',
  '_disconnect',
];

// What setupChannel() and bootstrap leave on `process`: by event, a word of their source text.
const CHANNEL_LISTENERS = [
  ['internalMessage', 'NODE_HANDLE_ACK'],
  ['newListener', 'kPendingMessages'],
  ['newListener', 'onNewListener'],
  ['removeListener', 'onRemoveListener'],
];

const HANDLE_SYMBOL = 'kChannelHandle';
const CODEC_SYMBOLS = { kJSONBuffer: 'json', kMessageBuffer: 'advanced' };

const ownSymbol = (object, description) =>
  Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);

function channelListeners() {
  return CHANNEL_LISTENERS.map(([event, word]) => ({
    event,
    listener: nodeProcess
      .rawListeners(event)
      .find((each) => Function.prototype.toString.call(each).includes(word)),
  }));
}

/** Nothing of it is in JavaScript yet: no byte was read, none waits to be written, no handle is on its way. */
const isFresh = (handle) =>
  nodeProcess.connected === true &&
  nodeProcess._handleQueue === null &&
  handle.bytesRead === 0 &&
  handle.writeQueueSize === 0;

/**
 * The channel that Node's bootstrap made of NODE_CHANNEL_FD, as long as it can be taken over without losing a byte
 * (`process[kChannelHandle]`, a Pipe): { fd, serialization, remove(), replaceBy(control) }, else null. `remove` closes it
 * and takes every trace of it from `process`; ticks of its listeners that are queued already look at `replaceBy`'s control.
 */
function freshNodeChannel() {
  const symbol = ownSymbol(nodeProcess, HANDLE_SYMBOL);
  const handle = symbol && nodeProcess[symbol];
  if (!handle || !isFresh(handle)) return null;
  const codec = Object.keys(CODEC_SYMBOLS).find((name) => ownSymbol(handle, name));
  const listeners = channelListeners();
  if (!codec || listeners.some(({ listener }) => !listener)) return null;
  const remove = () => {
    for (const { event, listener } of listeners) nodeProcess.removeListener(event, listener);
    for (const name of CHANNEL_PROPERTIES) delete nodeProcess[name];
    delete nodeProcess[symbol];
    handle.readStop();
    handle.onread = noop;
    handle.close();
  };
  const pending = ownSymbol(nodeProcess.channel, 'kPendingMessages');
  const replaceBy = (control) => {
    control[pending] = [];
  };
  return { fd: handle.fd, serialization: CODEC_SYMBOLS[codec], remove, replaceBy };
}

module.exports = {
  addConnections,
  addWorkerList,
  boundSocketFrom,
  clearReadable,
  closeIfDrained,
  connectionsOf,
  countClose,
  detachHandle,
  dgramHandleOf,
  expectClose,
  fdOf,
  forgetWorkersIfNone,
  freshNodeChannel,
  giveToServer,
  handleOf,
  interceptExit,
  isClosed,
  isMainThread,
  isOfHttp,
  leaveServer,
  listenOn,
  nativeClassOf,
  onConnectionClosed,
  readableBytes,
  releaseHttp,
  serverOf,
  stopReading,
  takeBoundHandle,
  streamHandleFrom,
  takeBufferedWrites,
  udpHandleFrom,
  udpTypeOf,
};
