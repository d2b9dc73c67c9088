'use strict';

// The limits of a channel, and how it waits: what fork() and spawn() were given, checked, with defaults. Some bind both ends and are told
// to the child; the others are what this end allows itself or its peer.

const {
  invalidArgType,
  invalidArgValue,
  outOfRange,
  validateBoolean,
  validateObject,
} = require('./errors');

const KIB = 1024;
const MIB = 1024 * KIB;
const MAX_MS = 2 ** 31 - 1;

/** Of the wire (docs/protocol.md). No credit may be smaller than what a sender needs to go on with a large message. */
const BOUNDS = {
  maxMessageSize: [1, 1024 * MIB],
  maxQueueBytes: [1, Number.MAX_SAFE_INTEGER],
  'credit.bytes': [512 * KIB, 1024 * MIB],
  'credit.handles': [1, 512],
  'exitFlush.stall': [0, MAX_MS],
  'exitFlush.total': [0, MAX_MS],
};

/** What acceptHandles may name, by fw_handle_type_t of src/forkwire.h. */
const HANDLE_KINDS = [
  undefined,
  'net.Socket',
  'net.Server',
  'net.Native',
  'dgram.Socket',
  'dgram.Native',
  'net.BoundSocket',
];

// fw_encoding_t: those that only 'advanced' writes.
const V8_VALUE = 5;
const BYTES = 6;
const VIEWS = 7;

const DEFAULTS = Object.freeze({
  maxMessageSize: 1024 * MIB,
  maxQueueBytes: 0, // none
  creditBytes: 16 * MIB,
  creditHandles: 512,
  exitStall: 500,
  exitTotal: 5000,
  refusedTypes: 0,
  isUntrusted: false,
  lowLatency: 0,
});

const EVERY_TYPE = maskOf(HANDLE_KINDS.slice(1));

/** For a peer that may be hostile: what it can cost this process is small. */
const UNTRUSTED = Object.freeze({
  maxMessageSize: MIB,
  maxQueueBytes: 16 * MIB,
  creditBytes: MIB,
  creditHandles: 16,
  exitStall: 100,
  exitTotal: 1000,
  refusedTypes: EVERY_TYPE,
  isUntrusted: true,
  lowLatency: 0,
});

function maskOf(kinds) {
  return kinds.reduce((mask, kind) => mask | (1 << HANDLE_KINDS.indexOf(kind)), 0);
}

/** An integer within the bounds of that name, or `fallback` where none was given. */
function integer(name, value, fallback) {
  if (value === undefined) return fallback;
  const [least, most] = BOUNDS[name];
  const fullName = `options.${name}`;
  if (typeof value !== 'number') throw invalidArgType(fullName, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(fullName, 'an integer', value);
  if (value < least || value > most) {
    throw outOfRange(fullName, `>= ${least} && <= ${most}`, value);
  }
  return value;
}

function object(name, value) {
  if (value === undefined) return {};
  validateObject(value, `options.${name}`);
  return value;
}

/** The bits of the kinds that are not accepted. */
function refusedTypes(accepted, fallback) {
  if (accepted === undefined) return fallback;
  if (typeof accepted === 'boolean') return accepted ? 0 : EVERY_TYPE;
  const name = 'options.acceptHandles';
  if (!Array.isArray(accepted)) {
    throw invalidArgType(name, 'of type boolean or an instance of Array', accepted);
  }
  const known = HANDLE_KINDS.slice(1);
  for (const kind of accepted) {
    if (known.includes(kind)) continue;
    throw invalidArgValue(name, `must hold only '${known.join("', '")}'`, accepted);
  }
  return EVERY_TYPE & ~maskOf(accepted);
}

/** Whether the peer is not trusted; it then may not be sent, nor send, what only 'advanced' can say. */
function isUntrusted({ untrusted = false, serialization }) {
  validateBoolean(untrusted, 'options.untrusted');
  if (untrusted && serialization === 'advanced') {
    throw invalidArgValue(
      'options.serialization',
      "must be 'json' for a peer that is not trusted",
      serialization,
    );
  }
  return untrusted;
}

/** 1 for latency: 'low': both ends wait for answers without sleeping. */
function lowLatency({ latency }) {
  if (latency === undefined) return 0;
  if (latency === 'low') return 1;
  throw invalidArgValue('options.latency', "must be undefined or 'low'", latency);
}

/** Which wire, if the user says so. */
function channelOf({ channel }) {
  if (channel === undefined || channel === 'native' || channel === 'node') return channel;
  const expected = "must be one of: undefined, 'native', 'node'";
  throw invalidArgValue('options.channel', expected, channel);
}

/** The limits among the options of fork() and spawn(), with defaults; throws for what is wrong. */
function limitsOf(options) {
  const defaults = isUntrusted(options) ? UNTRUSTED : DEFAULTS;
  const { bytes, handles } = object('credit', options.credit);
  const { stall, total } = object('exitFlush', options.exitFlush);
  return {
    maxMessageSize: integer('maxMessageSize', options.maxMessageSize, defaults.maxMessageSize),
    maxQueueBytes: integer('maxQueueBytes', options.maxQueueBytes, defaults.maxQueueBytes),
    creditBytes: integer('credit.bytes', bytes, defaults.creditBytes),
    creditHandles: integer('credit.handles', handles, defaults.creditHandles),
    exitStall: integer('exitFlush.stall', stall, defaults.exitStall),
    exitTotal: integer('exitFlush.total', total, defaults.exitTotal),
    refusedTypes: refusedTypes(options.acceptHandles, defaults.refusedTypes),
    isUntrusted: defaults.isUntrusted,
    lowLatency: lowLatency(options),
  };
}

/** The limits that bind both ends, and their names in FORKWIRE_CHANNEL. */
const SHARED = {
  'max-message-size': 'maxMessageSize',
  'credit-bytes': 'creditBytes',
  'credit-handles': 'creditHandles',
  'exit-stall': 'exitStall',
  'exit-total': 'exitTotal',
  'low-latency': 'lowLatency',
};

/** [name, value] of what the child is to be told: all that is not the default. */
function sharedLimits(limits) {
  const entries = Object.entries(SHARED).map(([name, key]) => [name, limits[key]]);
  return entries.filter(([name, value]) => value !== DEFAULTS[SHARED[name]]);
}

/** The limits of an end that was told these. @param named { name: text } */
function limitsFrom(named) {
  const told = Object.entries(SHARED)
    .filter(([name]) => /^\d{1,10}$/.test(named[name]))
    .map(([name, key]) => [key, Number(named[name])]);
  return { ...DEFAULTS, ...Object.fromEntries(told) };
}

/** Bits of the encodings that an end with this serialization does not decode: V8's format trusts who wrote it. */
const refusedEncodings = (serialization) =>
  serialization === 'advanced' ? 0 : (1 << V8_VALUE) | (1 << BYTES) | (1 << VIEWS);

module.exports = { DEFAULTS, channelOf, limitsFrom, limitsOf, refusedEncodings, sharedLimits };
