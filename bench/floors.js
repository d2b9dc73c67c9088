'use strict';

// Parts of the workloads that no channel can do without, in us of this process's processor time each:
//   node bench/floors.js
// docs/performance.md holds the figures of npm run bench against them.

const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const binding = require('../lib/binding');
const { streamHandleFrom } = require('../lib/node-internals');
const { makeDocument, makeObject } = require('./lib/samples');
const { median } = require('./lib/statistics');

const ROUNDS = 11; // and as many before, for the compiler
const N_SOCKETS = 5000;
const TCP = 1; // fw_fd_kind_t

/** The median of rounds of work(prepare()), which does something `count` times; only `work` is measured. */
function measure(title, count, work, prepare = () => {}) {
  const times = [];
  for (let i = 0; i < 2 * ROUNDS; i++) {
    const given = prepare();
    const before = process.cpuUsage();
    work(given);
    const { user, system } = process.cpuUsage(before);
    if (i >= ROUNDS) times.push((user + system) / count);
  }
  console.log(`${median(times).toFixed(2).padStart(8)} us  ${title}`);
}

function repeat(count, body) {
  return () => {
    for (let i = 0; i < count; i++) body(i);
  };
}

function measureJson() {
  const pass = (value) => JSON.parse(JSON.stringify(value));
  const title = 'JSON.stringify() and JSON.parse() of';
  const small = repeat(20_000, (i) => pass(makeObject(i)));
  measure(`${title} a small object`, 20_000, small);
  const large = repeat(2000, (i) => pass(makeDocument(i)));
  measure(`${title} a document of 4 KiB`, 2000, large);
}

function measureKernel() {
  const [from, to] = binding.socketPair();
  const bytes = Buffer.alloc(64);
  const pass = () => {
    fs.writeSync(from, bytes);
    fs.readSync(to, bytes);
  };
  measure('a write() and a read() of 64 bytes through a socket', 5000, repeat(5000, pass));
  binding.closeFd(from);
  binding.closeFd(to);
}

/** The objects of sockets that arrive; their descriptors are duplicates of one. */
async function measureSockets() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect(server.address().port, '127.0.0.1');
  const [{ _handle: original }] = await once(server, 'connection');
  let open = [];
  const openFds = () => {
    for (const handle of open) handle.close();
    open = [];
    return Array.from({ length: N_SOCKETS }, () => binding.dupFd(original.fd));
  };
  const openHandles = (fds) => {
    open = fds.map((fd) => streamHandleFrom(fd, TCP));
    return open;
  };
  const options = { allowHalfOpen: false, readable: true, writable: true };
  const makeSockets = (handles) => handles.map((handle) => new net.Socket({ handle, ...options }));
  measure('a TCP handle on a descriptor', N_SOCKETS, openHandles, openFds);
  measure('a net.Socket on a handle', N_SOCKETS, makeSockets, () => openHandles(openFds()));
  openFds().forEach(binding.closeFd);
  original.close();
  client.destroy();
  server.close();
}

measureJson();
measureKernel();
measureSockets();
