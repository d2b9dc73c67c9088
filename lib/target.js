'use strict';

// What users and Node's cluster module see of a channel: own properties of a ChildProcess or of process, as in stock.

const { nodeError, validateObject } = require('./errors');
const { nextTick, setProperty } = require('./primordials');

const NO_OPTIONS = Object.freeze({ swallowErrors: false });

function sendIfConnected(target, message, sendHandle, options, callback) {
  if (target.connected) return target._send(message, sendHandle, options, callback);
  const error = nodeError('ERR_IPC_CHANNEL_CLOSED');
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
  if (options !== undefined) validateObject(options, 'options');
  return sendIfConnected(this, message, sendHandle, options, callback);
}

/** A peer that takes nothing any more has `connected` false, though its end may still be to come: until then this ends it. */
function disconnect() {
  if (!this.connected && !this.channel) {
    this.emit('error', nodeError('ERR_IPC_DISCONNECTED'));
    return;
  }
  setProperty(this, 'connected', false);
  this._disconnect();
}

/** Makes `channel` the one of `target`. */
function install(target, channel) {
  target.channel = channel.control;
  target.connected = true;
  target.send = send;
  target.disconnect = disconnect;

  /** send() without a look at `connected`; a boolean in place of options means swallowErrors. */
  target._send = function _send(message, sendHandle, options, callback) {
    const given = typeof options === 'boolean' ? { swallowErrors: options } : options;
    return channel.send(message, sendHandle, given ?? NO_OPTIONS, callback);
  };

  target._disconnect = function _disconnect() {
    channel.disconnect();
  };
}

module.exports = { install };
