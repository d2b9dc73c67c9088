'use strict';

// What users and Node's cluster module see of a channel: own properties of a ChildProcess or of process, as in stock.

const { load } = require('./loader');
const { nextTick, nodeProcess, setProperty } = require('./primordials');

const NO_OPTIONS = Object.freeze({ swallowErrors: false });

/** `_channel`, which is gone from Node 26 on. */
const HAS_ALIAS = Number.parseInt(nodeProcess.versions.node, 10) < 26;

let warnOfAlias;

/** Once a process. */
function warn() {
  const text = '_channel is deprecated. Use ChildProcess.channel instead.';
  warnOfAlias ??= require('node:util').deprecate(() => {}, text, 'DEP0129');
  warnOfAlias();
}

const ALIAS = {
  __proto__: null,
  get() {
    warn();
    return this.channel;
  },
  set(channel) {
    warn();
    this.channel = channel;
  },
  configurable: true,
  enumerable: false,
};

const channels = new WeakMap(); // of each target

const pidOfPeer = (target) => channels.get(target)?.pid;

/** @param options a wrapper of _send() finds what stock gives it: an object of its own */
function sendIfConnected(target, message, sendHandle, options, callback) {
  const given = { swallowErrors: false, ...options };
  if (target.connected) return target._send(message, sendHandle, given, callback);
  const { nodeError } = load('./errors', module);
  const error = nodeError('ERR_IPC_CHANNEL_CLOSED', pidOfPeer(target));
  if (typeof callback === 'function') nextTick(callback, error);
  else nextTick(() => target.emit('error', error));
  return false;
}

function send(message, sendHandle, options, callback) {
  if (typeof sendHandle === 'function') {
    return sendIfConnected(this, message, undefined, undefined, sendHandle);
  }
  if (typeof options === 'function') {
    return sendIfConnected(this, message, sendHandle, undefined, options);
  }
  if (options !== undefined) load('./errors', module).validateObject(options, 'options');
  return sendIfConnected(this, message, sendHandle, options, callback);
}

/** A peer that takes nothing any more has `connected` false, though its end may still be to come: until then this ends it. */
function disconnect() {
  if (!this.connected && !this.channel) {
    const { nodeError } = load('./errors', module);
    this.emit('error', nodeError('ERR_IPC_DISCONNECTED', pidOfPeer(this)));
    return;
  }
  setProperty(this, 'connected', false);
  this._disconnect();
}

/** Makes `channel` the one of `target`. The properties and their order are stock's. */
function install(target, channel) {
  channels.set(target, channel);
  target.channel = channel.control;
  if (HAS_ALIAS) Object.defineProperty(target, '_channel', ALIAS);
  target._handleQueue = null; // here none waits in JavaScript
  target._pendingMessage = null;
  target.send = send;

  /** send() without a look at `connected`; a boolean in place of options means swallowErrors. */
  target._send = function _send(message, sendHandle, options, callback) {
    const given = typeof options === 'boolean' ? { swallowErrors: options } : options;
    return channel.send(message, sendHandle, given ?? NO_OPTIONS, callback);
  };

  target.connected = true;
  target.disconnect = disconnect;

  target._disconnect = function _disconnect() {
    channel.disconnect();
  };
}

module.exports = { install };
