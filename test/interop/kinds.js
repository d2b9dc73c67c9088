'use strict';

// Every kind of handle, as both ends of a cell use it. `make()` gives { handle, sent(), check(), dispose() }: what is to be
// sent, what its sender does with its own afterwards, what it sees of the use that the other end makes of it.
// `use(handle)` is that use; it resolves when somebody may look.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { connectedPair, listen, textOf } = require('../fixtures/socket-clients');
const { dgramHandleOf, handleOf } = require('../../lib/node-internals');

const TEXT = 'used by the other end';

const noop = () => {};

let paths = 0;

/** A free name for a unix socket. */
const newPath = () => path.join(os.tmpdir(), `forkwire-${process.pid}-${paths++}.sock`);

async function listenOn(where) {
  const server = net.createServer().listen(where);
  await once(server, 'listening');
  return server;
}

const tcpServer = () => listen();
const unixServer = () => listenOn(newPath());

async function connectUnix(server) {
  const accepted = once(server, 'connection');
  const client = net.connect(server.address());
  await once(client, 'connect');
  const [socket] = await accepted;
  return [socket, client];
}

/** A connection that a server of the sender accepted. */
const connection = (serve, connect) => ({
  async make() {
    const server = await serve();
    const [handle, client] = await connect(server);
    server.close();
    return {
      handle,
      sent: noop,
      check: async () => assert.equal(await textOf(client), TEXT),
      dispose: () => client.destroy(),
    };
  },
  async use(socket) {
    assert.ok(socket instanceof net.Socket);
    socket.end(TEXT);
  },
});

/** What a client of that address gets. */
const asClient = (address) => async () => assert.equal(await textOf(net.connect(address)), TEXT);

function answerConnections(server) {
  server.once('connection', (socket) => {
    socket.end(TEXT);
    server.close();
  });
}

/** Node removes the file of a unix socket with the server that made it; this one's name it does not know. */
function keepPath(server) {
  const name = server.address();
  if (typeof name !== 'string') return name.port;
  fs.renameSync(name, `${name}.kept`);
  return `${name}.kept`;
}

function dispose(address) {
  if (typeof address === 'string') fs.rmSync(address);
}

const listening = (serve) => ({
  async make() {
    const handle = await serve();
    const address = keepPath(handle);
    return {
      handle,
      sent: () => handle.close(),
      check: asClient(address),
      dispose: () => dispose(address),
    };
  },
  async use(server) {
    assert.ok(server instanceof net.Server);
    assert.equal(server.listening, true);
    answerConnections(server);
  },
});

/** The handle of a server, without the server. */
const nativeListening = (serve, className) => ({
  async make() {
    const made = await listening(serve).make();
    return { ...made, handle: handleOf(made.handle) };
  },
  async use(handle) {
    assert.equal(handle.constructor.name, className);
    const server = net.createServer().listen(handle);
    await once(server, 'listening');
    answerConnections(server);
  },
});

const HOSTS = { udp4: '127.0.0.1', udp6: '::1' };

function answerDatagrams(socket) {
  socket.once('message', (_question, { port, address }) => {
    socket.send(TEXT, port, address, () => socket.close());
  });
}

async function askDatagram(type, port) {
  const client = dgram.createSocket(type);
  client.send('question', port, HOSTS[type]);
  const [answer] = await once(client, 'message');
  client.close();
  assert.equal(String(answer), TEXT);
}

const datagrams = (type) => ({
  async make() {
    const handle = dgram.createSocket(type).bind(0, HOSTS[type]);
    await once(handle, 'listening');
    const { port } = handle.address();
    return {
      handle,
      sent: () => handle.close(),
      check: () => askDatagram(type, port),
      dispose: noop,
    };
  },
  async use(socket) {
    assert.ok(socket instanceof dgram.Socket);
    assert.equal(socket.type, type);
    answerDatagrams(socket);
  },
});

const nativeDatagrams = {
  async make() {
    const made = await datagrams('udp4').make();
    return { ...made, handle: dgramHandleOf(made.handle) };
  },
  async use(handle) {
    assert.equal(handle.constructor.name, 'UDP');
    answerDatagrams(dgram.createSocket('udp4').bind(handle));
  },
};

/** A port that is bound and not listened on (Node 26). */
const bound = {
  async make() {
    const handle = new net.BoundSocket({ port: 0, host: HOSTS.udp4 });
    return { handle, sent: noop, check: asClient(handle.address().port), dispose: noop };
  },
  async use(handle) {
    assert.ok(handle instanceof net.BoundSocket);
    const server = net.createServer().listen(handle);
    await once(server, 'listening');
    answerConnections(server);
  },
};

const kinds = {
  'net.Socket tcp': connection(tcpServer, connectedPair),
  'net.Socket unix': connection(unixServer, connectUnix),
  'net.Server tcp': listening(tcpServer),
  'net.Server unix': listening(unixServer),
  'net.Native TCP': nativeListening(tcpServer, 'TCP'),
  'net.Native Pipe': nativeListening(unixServer, 'Pipe'),
  'dgram.Socket udp4': datagrams('udp4'),
  'dgram.Socket udp6': datagrams('udp6'),
  'dgram.Native UDP': nativeDatagrams,
};
if (net.BoundSocket) kinds['net.BoundSocket'] = bound;

module.exports = { TEXT, kinds };
