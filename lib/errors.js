'use strict';

// All errors of forkwire: Node's own codes, with Node's texts, and the ERR_FORKWIRE_* ones.

const util = require('node:util');
const { JSONStringify } = require('./primordials');
/** Every code of ours with what it means; docs/api.md says for each when it comes and what to do. */
const MESSAGES = {
  ERR_FORKWIRE_BAD_MESSAGE: (what) => `A message of the peer cannot be decoded: ${what}`,
  ERR_FORKWIRE_EMPTY_MESSAGE: () => 'The message cannot be sent: its toJSON() returned undefined',
  ERR_FORKWIRE_HANDLE_CLOSED: () => 'The connection was closed before it could be sent',
  ERR_FORKWIRE_HANDLE_LOST: () =>
    'A message was dropped: its handle did not arrive, and is not sent again',
  ERR_FORKWIRE_HANDLE_REFUSED: () =>
    'A handle that the peer sent was refused, with its message: it is not what was declared, or of a kind that is not known here',
  ERR_FORKWIRE_HANDLE_STATE: (what) => `This handle cannot be sent: ${what}`,
  ERR_FORKWIRE_MESSAGE_TOO_LARGE: ({ size, maxMessageSize }) =>
    size === undefined
      ? `A message of the peer is larger than maxMessageSize, ${maxMessageSize} bytes`
      : `The message has ${size} bytes, and maxMessageSize is ${maxMessageSize}`,
  ERR_FORKWIRE_NO_BINARY: (what) => what,
  ERR_FORKWIRE_NO_HELLO: (what) => `The child ended without a word on its native channel: ${what}`,
  ERR_FORKWIRE_PROTOCOL: (what) => `The peer broke the protocol: ${what}`,
  ERR_FORKWIRE_QUEUE_FULL: ({ size, queued, maxQueueBytes }) =>
    `The message was not accepted: it has ${size} bytes, ${queued} wait to be written, and maxQueueBytes is ` +
    `${maxQueueBytes}. Send it after 'drain'`,
  ERR_FORKWIRE_RUNTIME: (what) =>
    `${what}: forkwire needs Node 20.19 or later, and 22.12 or later above 20`,
  ERR_FORKWIRE_WRITES_LOST: () =>
    'The process that sent this socket could not finish writing what it had written before',
  ERR_FORKWIRE_VERSION: () => 'The peer speaks no version of the protocol that is spoken here',
};

const NODE_MESSAGES = {
  ERR_INVALID_HANDLE_TYPE: [TypeError, 'This handle type cannot be sent'],
  ERR_IPC_CHANNEL_CLOSED: [Error, 'Channel closed'],
  ERR_IPC_DISCONNECTED: [Error, 'IPC channel is already disconnected'],
};

/** An error with a code, shown the way Node shows its own: `Name [CODE]: message`. */
function codedError(Base, code, message, options) {
  const error = new Base(message, options);
  Object.defineProperties(error, {
    __proto__: null,
    code: { __proto__: null, value: code, enumerable: true, configurable: true, writable: true },
    toString: {
      __proto__: null,
      value() {
        return `${this.name} [${code}]: ${this.message}`;
      },
      configurable: true,
      writable: true,
    },
  });
  if (typeof error.stack === 'string') {
    error.stack = error.stack.replace(/^\w+/, (name) => `${name} [${code}]`);
  }
  return error;
}

/** `details` are own properties of the error, such as `pid`; `details.cause` becomes its cause. */
function forkwireError(code, argument, { cause, ...details } = {}) {
  const options = cause === undefined ? undefined : { cause };
  return Object.assign(codedError(Error, code, MESSAGES[code](argument), options), details);
}

const NO_ADDON_EXIT_CODE = 78; // EX_CONFIG, of a child that cannot load the addon

/** Of a child that should have spoken the native wire and never did. @param exitCode where it is known */
function missingHello(pid, program, exitCode) {
  const what =
    exitCode === NO_ADDON_EXIT_CODE
      ? "it could not load forkwire's addon, see its stderr"
      : 'nothing that was sent to it was read. It did not run the preload in its NODE_OPTIONS';
  const text = `${program}, pid ${pid}: ${what}. Use { channel: 'node' } for it`;
  return forkwireError('ERR_FORKWIRE_NO_HELLO', text, { pid, program });
}

/** @param pid the peer's, where it is known */
function nodeError(code, pid) {
  const [Base, message] = NODE_MESSAGES[code];
  return withPid(codedError(Base, code, message), pid);
}

/** Says which child, or parent, an error is about. */
function withPid(error, pid) {
  return pid ? Object.assign(error, { pid }) : error;
}

/** Node's text, which programs may compare; the properties say what was given and what can be. @param names of that */
function invalidHandleType(handle, names) {
  const received = describe(handle).replace(' Received ', '');
  return Object.assign(nodeError('ERR_INVALID_HANDLE_TYPE'), { received, accepted: names });
}

/** An error's number on this system, as libuv and the addon give it. */
const errnoOf = (name) => -require('node:os').constants.errno[name];

/** Whether a number that the addon gave stands for that error. */
const isErrno = (status, name) => status < 0 && util.getSystemErrorName(status) === name;

/** As Node's ErrnoException: `write EPIPE`, with code, errno and syscall. */
function errnoError(errno, syscall) {
  const code = util.getSystemErrorName(errno);
  const error = new Error(`${syscall} ${code}`);
  return Object.assign(error, { errno, code, syscall });
}

function describe(value) {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === 'function') return ` Received function ${value.name}`;
  if (typeof value === 'object') {
    if (value.constructor?.name) return ` Received an instance of ${value.constructor.name}`;
    return ` Received ${util.inspect(value, { depth: -1 })}`;
  }
  return ` Received type ${typeof value} (${shown(value)})`;
}

/** A primitive value, as Node shows it in its errors. */
function shown(value) {
  if (typeof value !== 'string') return util.inspect(value, { colors: false });
  const text = value.length > 28 ? `${value.slice(0, 25)}...` : value;
  return text.includes("'") ? JSONStringify(text) : `'${text}'`;
}

function invalidArgType(name, expected, value) {
  const message = `The "${name}" argument must be ${expected}.${describe(value)}`;
  return codedError(TypeError, 'ERR_INVALID_ARG_TYPE', message);
}

function invalidArgValue(name, reason, value) {
  const text = util.inspect(value).slice(0, 128);
  const message = `The ${name.includes('.') ? 'property' : 'argument'} '${name}' ${reason}. Received ${text}`;
  return codedError(TypeError, 'ERR_INVALID_ARG_VALUE', message);
}

/** @param wanted such as `>= 1 && <= 5` */
function outOfRange(name, wanted, value) {
  const message = `The value of "${name}" is out of range. It must be ${wanted}. Received ${util.inspect(value)}`;
  return codedError(RangeError, 'ERR_OUT_OF_RANGE', message);
}

function missingArg(name) {
  return codedError(TypeError, 'ERR_MISSING_ARGS', `The "${name}" argument must be specified`);
}

/** A plain object is wanted, as Node's validateObject() checks it. */
function validateObject(value, name) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidArgType(name, 'of type object', value);
  }
}

function validateBoolean(value, name) {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'of type boolean', value);
}

module.exports = {
  MESSAGES,
  errnoError,
  NO_ADDON_EXIT_CODE,
  errnoOf,
  forkwireError,
  invalidArgType,
  invalidArgValue,
  invalidHandleType,
  isErrno,
  missingArg,
  missingHello,
  nodeError,
  outOfRange,
  validateBoolean,
  validateObject,
  withPid,
};
