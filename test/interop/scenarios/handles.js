'use strict';

// Every kind of handle, from the parent to the child and from the child to the parent, and a socket that stays
// with its sender as well.

const assert = require('node:assert/strict');
const { close, connectedPair, listen, textOf } = require('../../fixtures/socket-clients');
const { kinds } = require('../kinds');

async function give({ child, ask }, kind) {
  const made = await kinds[kind].make();
  const used = ask({ do: 'use', kind }, made.handle);
  child.send({ do: 'nothing' }, () => made.sent());
  assert.deepEqual(await used, { used: kind });
  await made.check();
  made.dispose();
}

async function take({ ask, askForHandle }, kind) {
  const [message, handle] = await askForHandle({ do: 'make', kind });
  assert.deepEqual(message, { made: kind });
  await kinds[kind].use(handle);
  assert.equal(await ask({ do: 'check' }), 'checked');
}

async function share({ ask }) {
  const server = await listen();
  const [socket, client] = await connectedPair(server);
  const answer = await ask({ do: 'share', text: 'of the child, ' }, socket, { keepOpen: true });
  assert.equal(answer, 'shared');
  socket.end('of the parent');
  assert.equal(await textOf(client), 'of the child, of the parent');
  await close(server);
}

async function run(context) {
  for (const kind of context.kinds) {
    for (const way of [give, take]) {
      context.note(`${kind}, ${way.name}`);
      await way(context, kind);
    }
  }
  context.note('keepOpen');
  await share(context);
}

module.exports = { name: 'handles', run };
