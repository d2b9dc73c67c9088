'use strict';

// pm2: a server in cluster mode and one in fork mode, each started, asked, reloaded while it is asked, and ended. Its daemon
// is the primary, and runs what this program was started with.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');

const HOME = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-pm2-'));
process.env.PM2_HOME = HOME;
const pm2 = require('pm2');

const call = (name, ...args) => promisify(pm2[name].bind(pm2))(...args);

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function get(port) {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
    // Stock forgets connections that are on their way to a worker which closes its server.
    if (!process.env.FORKWIRE_EXPECTED) request.setTimeout(2000, () => resolve('lost'));
  });
}

async function ask(port, count) {
  const answers = [];
  for (let i = 0; i < count; i++) answers.push((await get(port)).split(' '));
  return answers;
}

/** Asks all the time while `action` runs. */
async function askDuring(port, action) {
  let isOver = false;
  const answers = [];
  const asking = (async () => {
    while (!isOver) answers.push(...(await ask(port, 1)));
  })();
  await action();
  isOver = true;
  await asking;
  return answers;
}

const pidsOf = (answers) => new Set(answers.map(([pid]) => pid));

async function tryMode(mode, instances) {
  const name = `app-${mode}`;
  const port = await freePort();
  const app = {
    name,
    script: path.join(__dirname, 'pm2-app.js'),
    exec_mode: mode,
    instances,
    wait_ready: true,
    listen_timeout: 20_000,
    kill_timeout: 10_000,
    shutdown_with_message: true,
    env: { APP_PORT: String(port), VERSION: '1' },
  };
  await call('start', app);
  const before = await ask(port, 20);
  assert.equal(pidsOf(before).size, instances);
  for (const [, protocol] of before) {
    assert.equal(protocol, process.env.FORKWIRE_EXPECTED || 'undefined');
  }

  const bus = await call('launchBus');
  const echoed = new Promise((resolve) => bus.on('process:msg', ({ data }) => resolve(data)));
  const [{ pm_id: id }] = await call('describe', name);
  await call('sendDataToProcessId', id, { id, type: 'process:msg', topic: true, data: { i: 7 } });
  assert.deepEqual((await echoed).echo, { i: 7 });

  // Fork mode cannot reload without a gap.
  const reload = () => call('reload', name, { updateEnv: true });
  const during = mode === 'cluster' ? await askDuring(port, reload) : [await reload()];
  const after = await ask(port, 20);
  assert.equal(pidsOf(after).size, instances);
  assert.equal([...pidsOf(after)].filter((pid) => pidsOf(before).has(pid)).length, 0);
  assert.ok(during.length > 0);
  assert.ok(process.env.FORKWIRE_EXPECTED === undefined || !during.flat().includes('lost'));
  await call('delete', name);
  await assert.rejects(get(port));
  console.log(`${mode}: served, messaged, reloaded, deleted`);
}

async function main() {
  await call('connect');
  try {
    await tryMode('cluster', 2);
    await tryMode('fork', 1);
    console.log('all passed');
  } finally {
    await call('killDaemon').catch(() => {});
    pm2.disconnect();
    fs.rmSync(HOME, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
