'use strict';

// What a message may be, and what makes one an internal one.

const errors = require('./errors');

const SENDABLE = ['string', 'object', 'number', 'boolean'];

/** What stock emits as 'internalMessage'. */
function isInternal(message) {
  if (message === null || typeof message !== 'object') return false;
  const { cmd } = message;
  return typeof cmd === 'string' && cmd.length > 5 && cmd.startsWith('NODE_');
}

/** Throws what stock's send() throws for what is no message. */
function checkMessage(message) {
  if (message === undefined) throw errors.missingArg('message');
  if (SENDABLE.includes(typeof message)) return;
  const expected = 'one of type string, object, number, or boolean';
  throw errors.invalidArgType('message', expected, message);
}

module.exports = { checkMessage, isInternal };
