'use strict';

// examples/handoff as a person meets it: the article's two files, and `npm start`.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { run } = require('../helpers/run');
const { startedProcesses } = require('../helpers/processes');
const { some } = require('../helpers/scale');
const { until } = require('../helpers/until');

const FOLDER = path.join(__dirname, '../../examples/handoff');
const START = path.join(FOLDER, 'start.js');
const ANSWER = 'Child handled it.';

/** curl as it is: what a sanitizer run preloads is for Node. */
const curl = (...args) => run('curl', args, { env: { ...process.env, LD_PRELOAD: '' } });

/** Collects what a program prints; `said(pattern)` waits for it. */
function start(args, env) {
  return watch([process.execPath, ...args], env, 'ignore');
}

/** The same in a terminal: what is written to stdin are keys. */
function startInTerminal(args, env) {
  const inTerminal =
    'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
  return watch([python(), ...QUICK, '-c', inTerminal, process.execPath, ...args], env, 'pipe');
}

function watch([command, ...args], env, stdin) {
  const program = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [program.stdout, program.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
  }
  const said = (pattern) => until(() => pattern.exec(text), String(pattern));
  /** The same, while it is asked for the number of connections again and again. */
  const saidWhenAsked = (pattern, ask = () => program.kill('SIGUSR2')) =>
    until(() => ask() && pattern.exec(text), String(pattern));
  return { program, said, saidWhenAsked };
}

/** The article's parent on a free port: the number is the only thing that changes. What is added shows and ends it. */
async function startArticle() {
  const source = fs.readFileSync(path.join(FOLDER, 'parent.js'), 'utf8');
  assert.ok(source.includes('listen(1337)'));
  const watched = `${source.replace('listen(1337)', 'listen(0)')}
    server.on('listening', () => console.log('port', server.address().port));
    process.on('SIGUSR2', () => server.getConnections((_error, count) => console.log('count', count)));
    process.on('SIGTERM', () => server.close(() => { console.log('closed'); child.disconnect(); }));`;
  const file = path.join(FOLDER, `.parent-${process.pid}.js`);
  fs.writeFileSync(file, watched);
  const started = start([file]);
  const [, port] = await started.said(/port (\d+)\n/).finally(() => fs.rmSync(file));
  return { port, ...started };
}

/** `npm start` on a free port. */
async function startExample(launch = start) {
  const started = launch([START], { PORT: '0' });
  const [, port] = await started.said(/Try: +curl 127\.0\.0\.1:(\d+)/);
  return { port, ...started };
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

  const clients = [
    ['a raw client', rawAnswer],
    ['curl --http0.9', async (port) => (await curl('-s', '--http0.9', `127.0.0.1:${port}`)).stdout],
  ];
  for (const [client, ask] of some(clients, 0)) {
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
  it('answers ten times from its children, counts 0 afterwards, and leaves nothing at Ctrl-C', async () => {
    const before = startedProcesses().length;
    const { port, program, said, saidWhenAsked } = await startExample();
    for (let i = 0; i < 10; i++) {
      const { stdout } = await curl('-s', '-i', `127.0.0.1:${port}`);
      assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(stdout, /\r\nContent-Length: 17\r\n/);
      assert.match(stdout, /\r\nConnection: close\r\n/);
      assert.ok(stdout.endsWith(`\r\n\r\n${ANSWER}`));
    }
    const [answers] = await said(/(child \d+ answered .*\n){10}/);
    const pids = new Set([...answers.matchAll(/child (\d+)/g)].map(([, pid]) => pid));
    assert.ok(pids.size >= 2);
    await saidWhenAsked(/getConnections: 0/);
    program.kill('SIGINT');
    const [code] = await once(program, 'close');
    assert.equal(code, 0);
    await until(() => startedProcesses().length === before);
  });

  it('shows the count at a key and ends at Ctrl-C in a terminal', async () => {
    const before = startedProcesses().length;
    const { port, program, said, saidWhenAsked } = await startExample(startInTerminal);
    assert.ok((await rawAnswer(port)).endsWith(ANSWER));
    await said(/child \d+ answered/);
    await saidWhenAsked(/getConnections: 0/, () => program.stdin.write(' '));
    program.stdin.write('\x03');
    const [code] = await once(program, 'close');
    assert.equal(code, 0);
    await until(() => startedProcesses().length === before);
  });

  it('ends cleanly at SIGTERM, also with connections open', async () => {
    const before = startedProcesses().length;
    const { port, program } = await startExample();
    const client = net.connect(port);
    await once(client, 'data');
    program.kill('SIGTERM');
    const [code] = await once(program, 'close');
    assert.equal(code, 0);
    await until(() => startedProcesses().length === before);
    client.destroy();
  });

  it('has other children answer when one is killed, and starts another', async () => {
    const { port, program, said } = await startExample();
    await rawAnswer(port);
    const [, pid] = await said(/child (\d+) answered/);
    const count = startedProcesses().length;
    process.kill(Number(pid), 'SIGKILL');
    for (let i = 0; i < 10; i++) assert.ok((await rawAnswer(port)).endsWith(ANSWER));
    await until(() => startedProcesses().length === count);
    program.kill('SIGINT');
    await once(program, 'close');
  });

  it('has another child answer what was on its way to one that is killed', async () => {
    const { port, program, said } = await startExample();
    await rawAnswer(port);
    const [, pid] = await said(/child (\d+) answered/);
    process.kill(Number(pid), 'SIGSTOP');
    const answers = Array.from({ length: 10 }, () => rawAnswer(port));
    // The other children have answered theirs; the rest waits for the stopped one.
    await said(/(child \d+ answered .*\n){6}/);
    process.kill(Number(pid), 'SIGKILL');
    for (const answer of await Promise.all(answers)) assert.ok(answer.endsWith(ANSWER));
    program.kill('SIGINT');
    await once(program, 'close');
  });

  it('says in one line that the port is in use', async () => {
    const server = net.createServer().listen(0);
    await once(server, 'listening');
    const { port } = server.address();
    const env = { ...process.env, PORT: String(port) };
    const { code, stdout, stderr } = await run(process.execPath, [START], { env });
    server.close();
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.equal(stderr, `Port ${port} is in use; PORT=... takes another.\n`);
  });
});
