'use strict';

// What a child reports: its messages, its end, the order of both.

const { once } = require('node:events');

/** Resolves with the next message. */
async function nextMessage(child) {
  const [message] = await once(child, 'message');
  return message;
}

/** Resolves with the next `count` messages, in order. */
function messagesOf(child, count) {
  const messages = [];
  return new Promise((resolve, reject) => {
    const onExit = (code, signal) =>
      reject(new Error(`exit (${code ?? signal}) after ${messages.length} messages of ${count}`));
    const onMessage = (message) => {
      messages.push(message);
      if (messages.length < count) return;
      child.removeListener('message', onMessage);
      child.removeListener('exit', onExit);
      resolve(messages);
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}

/** Resolves with { code, signal } at 'exit'; an 'error' is the business of the test, other than with once(). */
async function exited(child) {
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise((resolve) => child.once('exit', resolve));
  }
  return { code: child.exitCode, signal: child.signalCode };
}

/** Records the names of events as they come, into the array that is returned. */
function record(emitter, names) {
  const seen = [];
  for (const name of names) emitter.on(name, () => seen.push(name));
  return seen;
}

module.exports = { exited, messagesOf, nextMessage, record };
