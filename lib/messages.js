'use strict';

// What a message may be, and what makes one an internal one.

const errors = require('./errors');

/** What stock emits as 'internalMessage'. */
function isInternal(message) {
  if (message === null || typeof message !== 'object') return false;
  const { cmd } = message;
  return typeof cmd === 'string' && cmd.length > 5 && cmd.startsWith('NODE_');
}

const { hasOwn } = Object;
const isEnumerable = Function.call.bind(Object.prototype.propertyIsEnumerable);

/**
 * Whether a message may be an internal one on the wire, where only its own enumerable properties are. Others are not
 * even read: a getter may do anything.
 */
const mayBeInternal = (message) =>
  typeof message === 'object' &&
  message !== null &&
  hasOwn(message, 'cmd') &&
  isEnumerable(message, 'cmd') &&
  isInternal(message);

/** Throws what stock's send() throws for what is no message. */
function checkMessage(message) {
  switch (typeof message) {
    case 'object':
    case 'string':
    case 'number':
    case 'boolean':
      return;
    case 'undefined':
      throw errors.missingArg('message');
  }
  const expected = 'one of type string, object, number, or boolean';
  throw errors.invalidArgType('message', expected, message);
}

module.exports = { checkMessage, isInternal, mayBeInternal };
