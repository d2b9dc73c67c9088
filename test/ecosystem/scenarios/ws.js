'use strict';

// ws: a server hands the sockets of its 'upgrade' events to children, which speak WebSocket from there on.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const { WebSocket } = require('ws');
const { checkWire } = require('./wire');

const CLIENTS = 20;

async function talk(port, i) {
  const client = new WebSocket(`ws://127.0.0.1:${port}/${i}`);
  await once(client, 'open');
  for (const text of ['hello', 'x'.repeat(200_000), `${i}`]) {
    client.send(text);
    const [data] = await once(client, 'message');
    assert.equal(`${data}`, text);
  }
  client.send(Buffer.alloc(1000, i));
  const [bytes, isBinary] = await once(client, 'message');
  assert.ok(isBinary && bytes.equals(Buffer.alloc(1000, i)));
  client.close(4000 + i);
  const [code] = await once(client, 'close');
  return code;
}

async function main() {
  const children = [fork(`${__dirname}/ws-child.js`), fork(`${__dirname}/ws-child.js`)];
  const closed = [];
  for (const child of children) {
    checkWire(child.channel);
    child.on('message', (message) => closed.push(message.closed));
  }
  const server = http.createServer((_request, response) => response.end('plain'));
  let next = 0;
  server.on('upgrade', ({ url, method, headers }, socket, head) => {
    const message = { url, method, headers, head: head.toString('base64') };
    children[next++ % 2].send(message, socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const codes = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => talk(port, i)));
  assert.deepEqual(
    codes,
    codes.map((_, i) => 4000 + i),
  );
  // A client that goes without a word: the child's socket ends, and nothing of it stays open.
  const rude = new WebSocket(`ws://127.0.0.1:${port}/rude`);
  await once(rude, 'open');
  rude.terminate();
  while (closed.length < CLIENTS + 1) await Promise.race(children.map((c) => once(c, 'message')));
  assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'plain');
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  for (const child of children) {
    child.disconnect();
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  }
  console.log(JSON.stringify(closed.toSorted()));
  console.log('all passed');
}

main();
