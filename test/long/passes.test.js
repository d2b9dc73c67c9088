'use strict';

// Every kind of handle, many times there and back: nothing is left open in either process.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { descriptorsOf, newDescriptors } = require('../helpers/descriptors');
const { forkFixture } = require('../helpers/fork-fixture');
const { until } = require('../helpers/until');

const PASSES = Number(process.env.PASSES ?? 20_000);
const AT_ONCE = 20;

const listening = async (server, ...args) => {
  server.listen(...args);
  await once(server, 'listening');
  return server;
};

const bound = async (type) => {
  const socket = dgram.createSocket(type);
  socket.bind(0);
  await once(socket, 'listening');
  return socket;
};

const unixPath = () => path.join(os.tmpdir(), `fw-passes-${process.pid}.sock`);

/** A connected socket of this process, and all that is to be closed afterwards. */
async function connection(...address) {
  const server = await listening(net.createServer(), ...address);
  const client = net.connect(server.address().port ?? server.address());
  const [socket] = await once(server, 'connection');
  return { handle: socket, open: [server, client], isMoved: true };
}

// Each gives { handle, open: what is to be closed, isMoved: whether what comes back is the only one }.
const kinds = {
  'net.Socket (TCP)': () => connection(0),
  'net.Socket (unix)': () => connection(unixPath()),
  'net.Server (TCP)': async () => ({ handle: await listening(net.createServer(), 0), open: [] }),
  'net.Server (unix)': async () => ({
    handle: await listening(net.createServer(), unixPath()),
    open: [],
  }),
  'dgram.Socket (udp4)': async () => ({ handle: await bound('udp4'), open: [] }),
  'dgram.Socket (udp6)': async () => ({ handle: await bound('udp6'), open: [] }),
  'native TCP': async () => {
    const server = await listening(net.createServer(), 0);
    return { handle: server._handle, open: [server] };
  },
  'native Pipe': async () => {
    const server = await listening(net.createServer(), unixPath());
    return { handle: server._handle, open: [server] };
  },
};

/** The descriptors of a process that is idle: the same for a while. */
async function settled(pid) {
  let last = descriptorsOf(pid);
  for (let i = 0; i < 20; i++) {
    await wait(10);
    const now = descriptorsOf(pid);
    if (newDescriptors(last, now).length + newDescriptors(now, last).length > 0) i = 0;
    last = now;
  }
  return last;
}

const close = (object) => (object.destroy ? object.destroy() : object.close?.());

describe(`${PASSES} passes there and back`, function passes() {
  this.timeout(600_000);

  /** Passes a handle `count` times to the child and back. */
  const passAll = (child, { handle, isMoved }, count) =>
    new Promise((resolve) => {
      let sent = 0;
      let back = 0;
      const sendOne = (object) => child.send(sent++, object);
      const onMessage = (_number, object) => {
        back++;
        if (!isMoved) close(object);
        if (sent < count) sendOne(isMoved ? object : handle);
        else if (isMoved) close(object);
        if (back < count) return;
        child.removeListener('message', onMessage);
        resolve();
      };
      child.on('message', onMessage);
      for (let i = 0; i < (isMoved ? 1 : Math.min(count, AT_ONCE)); i++) sendOne(handle);
    });

  async function passAndClose(child, make, count) {
    const made = await make();
    await passAll(child, made, count);
    for (const object of [...made.open, ...(made.isMoved ? [] : [made.handle])]) close(object);
  }

  for (const [kind, make] of Object.entries(kinds)) {
    it(`leave nothing of a ${kind} open`, async () => {
      const child = forkFixture('pass-back.js');
      const here = descriptorsOf();
      // libuv keeps one descriptor for itself since the first accept or listen.
      await passAndClose(child, make, 2);
      await until(() => newDescriptors(here, descriptorsOf()).length <= 1, 'closed here at first');
      const there = await settled(child.pid);
      const before = descriptorsOf();
      await passAndClose(child, make, PASSES);
      await until(() => newDescriptors(before, descriptorsOf()).length === 0, 'here');
      await until(() => newDescriptors(there, descriptorsOf(child.pid)).length === 0, 'there');
      child.disconnect();
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
    });
  }
});
