'use strict';

// The child of a cell: does what it is told. Answers on the channel.

const { kinds } = require('./kinds');

let made;
const kept = [];

async function sendMade(kind) {
  made = await kinds[kind].make();
  process.send({ made: kind }, made.handle, () => made.sent());
}

/** All that a process may want to say before it ends. */
function sendMuch() {
  for (let i = 0; i < 100; i++) process.send(i);
  process.send('x'.repeat(300_000));
}

const commands = {
  nothing() {},

  about: () => process.send({ version: process.version, protocol: process.channel.protocol }),

  echo: ({ value }) => process.send({ value }),

  async use({ kind }, handle) {
    await kinds[kind].use(handle);
    process.send({ used: kind });
  },

  make: ({ kind }) => sendMade(kind),

  async check() {
    await made.check();
    made.dispose();
    process.send('checked');
  },

  /** A socket that its sender keeps open as well. */
  share: ({ text }, socket) =>
    socket.write(text, () => {
      socket.destroy();
      process.send('shared');
    }),

  /** Not in kinds: it stays open until 'close'. */
  keep({ index }, socket) {
    kept.push(socket);
    socket.write(`${index}`);
    process.send({ kept: index });
  },

  close() {
    for (const socket of kept.splice(0)) socket.destroy();
  },

  plain: ({ index }) => process.send({ plain: index }),

  disconnect: () => process.disconnect(),

  exit: ({ code }) => process.exit(code),

  flush() {
    sendMuch();
    process.exit(7);
  },

  /** Exits with how many messages came until the parent disconnected. */
  count() {
    let count = 0;
    process.on('message', () => count++);
    process.once('disconnect', () => process.exit(count));
    process.send('counting');
  },

  /** Tells on stdout what came until the parent was gone. */
  witness() {
    const sizes = [];
    process.on('message', (message) => sizes.push(String(message).length));
    process.once('disconnect', () => {
      const size = sizes.reduce((sum, each) => sum + each, 0);
      process.stdout.write(`${JSON.stringify({ witness: [sizes.length, size] })}\n`);
    });
    process.send('watching');
  },
};

process.on('message', (message, handle) => {
  if (message?.do !== undefined) commands[message.do](message, handle);
});
