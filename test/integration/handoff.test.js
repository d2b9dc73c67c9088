'use strict';

// examples/handoff as a person meets it: the article's two files, and `npm start`.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { run } = require('../helpers/run');
const { startedProcesses } = require('../helpers/processes');
const { until } = require('../helpers/until');

const FOLDER = path.join(__dirname, '../../examples/handoff');
const ANSWER = 'Child handled it.';

/** A port that was free a moment ago. */
async function freePort() {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Collects what a program prints; `said(pattern)` waits for it. */
function start(args, env = {}) {
  const program = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [program.stdout, program.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
  }
  const said = (pattern) => until(() => pattern.exec(text), String(pattern));
  /** The same, while it is asked for the number of connections again and again. */
  const saidWhenAsked = (pattern) =>
    until(() => program.kill('SIGUSR2') && pattern.exec(text), String(pattern));
  return { program, said, saidWhenAsked };
}

/** The article's parent on another port: the number is the only thing that changes. */
async function startArticle() {
  const port = await freePort();
  const source = fs.readFileSync(path.join(FOLDER, 'parent.js'), 'utf8');
  assert.ok(source.includes('listen(1337)'));
  const watched = `${source.replace('listen(1337)', `listen(${port})`)}
    process.on('SIGUSR2', () => server.getConnections((_error, count) => console.log('count', count)));
    process.on('SIGTERM', () => server.close(() => { console.log('closed'); child.disconnect(); }));`;
  const file = path.join(FOLDER, `.parent-${process.pid}.js`);
  fs.writeFileSync(file, watched);
  const started = start([file]);
  await until(() => isOpen(port));
  fs.rmSync(file);
  return { port, ...started };
}

async function isOpen(port) {
  const socket = net.connect(port);
  const isConnected = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return isConnected;
}

async function rawAnswer(port) {
  const client = net.connect(port);
  let text = '';
  client.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  client.write('GET / HTTP/1.1\r\n\r\n');
  await once(client, 'close');
  return text;
}

const lines = (text) => text.split('\n').filter((line) => !line.startsWith('//'));

describe("the article's parent and child", () => {
  it('differ from it in the require line only', () => {
    const parent = lines(fs.readFileSync(path.join(FOLDER, 'parent.js'), 'utf8'));
    assert.equal(parent[0], "const { fork } = require('../..');");
    assert.ok(parent.join('\n').includes("child.send('socket', socket);"));
    const child = lines(fs.readFileSync(path.join(FOLDER, 'child.js'), 'utf8'));
    assert.ok(child.join('\n').includes(`socket.end('${ANSWER}');`));
  });

  for (const [client, ask] of [
    ['a raw client', rawAnswer],
    [
      'curl --http0.9',
      async (port) => (await run('curl', ['-s', '--http0.9', `127.0.0.1:${port}`])).stdout,
    ],
  ]) {
    it(`answer ${client} ten times, count 0 afterwards, and close`, async () => {
      const { port, program, said, saidWhenAsked } = await startArticle();
      for (let i = 0; i < 10; i++) assert.equal(await ask(port), ANSWER);
      await saidWhenAsked(/count 0/);
      program.kill('SIGTERM');
      await said(/closed/);
      await once(program, 'close');
    });
  }
});

describe('npm start', () => {
  const script = path.join(FOLDER, 'start.js');

  it('answers ten times from its children, counts 0 afterwards, and leaves nothing at Ctrl-C', async () => {
    const port = await freePort();
    const before = startedProcesses().length;
    const { program, said, saidWhenAsked } = start([script], { PORT: String(port) });
    await said(new RegExp(`Try: +curl 127\\.0\\.0\\.1:${port}`));
    for (let i = 0; i < 10; i++) {
      const { stdout } = await run('curl', ['-s', '-i', `127.0.0.1:${port}`]);
      assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/);
      assert.ok(stdout.endsWith(`\r\n\r\n${ANSWER}`));
    }
    await said(/(child \d+ answered .*\n){10}/);
    await saidWhenAsked(/getConnections: 0/);
    program.kill('SIGINT');
    const [code] = await once(program, 'close');
    assert.equal(code, 0);
    await until(() => startedProcesses().length === before);
  });

  it('has another child answer when one is killed', async () => {
    const port = await freePort();
    const { program, said } = start([script], { PORT: String(port) });
    await said(/Try:/);
    await rawAnswer(port);
    const [, pid] = await said(/child (\d+) answered/);
    process.kill(Number(pid), 'SIGKILL');
    for (let i = 0; i < 10; i++) assert.ok((await rawAnswer(port)).endsWith(ANSWER));
    program.kill('SIGINT');
    await once(program, 'close');
  });

  it('says in one line that the port is in use', async () => {
    const server = net.createServer().listen(0);
    await once(server, 'listening');
    const { port } = server.address();
    const env = { ...process.env, PORT: String(port) };
    const { code, stdout, stderr } = await run(process.execPath, [script], { env });
    server.close();
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.equal(stderr, `Port ${port} is in use; PORT=... takes another.\n`);
  });
});
