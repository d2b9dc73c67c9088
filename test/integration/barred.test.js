'use strict';

// A descriptor that the receiver's system does not let it have, however many are free: a security module drops it
// and those behind it in its set. A preloaded recvmsg() does the same here.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { exited } = require('../helpers/events');
const { fixture, forkFunction } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');
const { until } = require('../helpers/until');

describe('a descriptor that may not be received', () => {
  let folder;
  let library;

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-barred-'));
    library = path.join(folder, 'barring.so');
    const flags = ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library];
    execFileSync(process.env.CC || 'cc', [...flags, fixture('barring.c'), '-ldl']);
  });

  after(() => fs.rmSync(folder, { recursive: true }));

  async function listening() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }

  it('goes back to its sender; the others of its set and what is behind it arrive', async () => {
    const servers = await Promise.all(Array.from({ length: 5 }, listening));
    const barred = servers[1];
    const env = {
      ...process.env,
      LD_PRELOAD: library,
      FORKWIRE_TEST_BARRED: String(barred.address().port),
    };
    const child = forkFunction({ env }, () => {
      process.on('message', (message, server) => {
        process.send([message, server?.address().port]);
        server?.close();
      });
    });
    const seen = [];
    const undelivered = [];
    child.on('message', (message) => seen.push(message));
    child.on('undelivered', (message, handle) => undelivered.push([message, handle]));
    for (const [i, server] of servers.entries()) child.send(i, server);
    child.send('behind');
    await until(() => seen.length === 5 && undelivered.length === 1);
    const arrived = servers.map((server, i) => [i, server.address().port]);
    arrived.splice(1, 1);
    assert.deepEqual(seen, [...arrived, ['behind', null]]);
    assert.deepEqual(undelivered, [[1, barred]]);
    child.disconnect();
    assert.deepEqual(await exited(child), { code: 0, signal: null });
    for (const server of servers) server.close();
  });

  for (const role of ['parent', 'child']) {
    it(`is dropped with a warning on stock's wire, and what is behind it arrives, in a ${role}`, async () => {
      const env = { ...process.env, ...(role === 'parent' && { LD_PRELOAD: library }) };
      const args = [fixture('barred.js'), role, library];
      const { code, stdout, stderr } = await run(process.execPath, args, { env });
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), {
        messages: [
          [0, true],
          [2, true],
          ['behind', false],
        ],
        warnings: [['ERR_FORKWIRE_HANDLE_LOST', true]],
      });
    });
  }
});
