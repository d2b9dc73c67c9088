'use strict';

const assert = require('node:assert/strict');
const diagnosticsChannel = require('node:diagnostics_channel');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { exited, nextMessage } = require('../helpers/events');
const { fixture, forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { functionArgs, run } = require('../helpers/run');
const { some } = require('../helpers/scale');
const { fork, spawn, itIsBetter } = require('../helpers/subject');

const ABOUT = fixture('about.js'); // sends what it finds in its process
const IDLE = fixture('idle.js'); // sends 'up' and waits

/** What test/fixtures/about.js says of its process, when it is forked so. */
async function about(...args) {
  const child = fork(...args);
  const [found] = await Promise.all([nextMessage(child), exited(child)]);
  return found;
}

const INVALID = { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' };

describe("fork()'s arguments", () => {
  it('take a path, a file: URL and a Buffer as module', async () => {
    const url = pathToFileURL(ABOUT);
    for (const modulePath of [ABOUT, url, Buffer.from(ABOUT)]) {
      const { argv } = await about(modulePath);
      assert.equal(argv[1], ABOUT);
    }
  });

  it('refuse any other module', () => {
    for (const modulePath of [undefined, null, 0, {}, [], true, () => {}, Symbol('x')]) {
      assert.throws(() => fork(modulePath), {
        ...INVALID,
        message: /^The "modulePath" argument must be of type string/,
      });
    }
  });

  it('reach the child in order', async () => {
    const args = ['one', '--two', '', 'three four', '"quoted"'];
    const { argv } = await about(ABOUT, args);
    assert.deepEqual(argv.slice(2), args);
  });

  it('may leave the arguments of the module out', async () => {
    const env = { MARK: 'kept' };
    for (const args of [[{ env }], [undefined, { env }], [null, { env }], [[], { env }]]) {
      const found = await about(ABOUT, ...args);
      assert.deepEqual(found.argv.slice(2), []);
      assert.equal(found.env.MARK, 'kept');
    }
  });

  it('refuse what is no array of arguments', () => {
    for (const args of [0, true, () => {}, Symbol('x')]) {
      assert.throws(() => fork(ABOUT, args), INVALID);
    }
  });

  it('refuse options that are no object', () => {
    for (const options of [0, true, () => {}, Symbol('x'), 'options']) {
      assert.throws(() => fork(ABOUT, [], options), INVALID);
    }
  });

  it('stay as the caller gave them', async () => {
    const args = Object.freeze(['one']);
    const stdio = Object.freeze(['ignore', 'inherit', 'inherit', 'ipc']);
    const env = Object.freeze({ ...process.env });
    const execArgv = Object.freeze(['--no-warnings']);
    const options = Object.freeze({ stdio, env, execArgv });
    await about(ABOUT, args, options);
    assert.deepEqual(Object.keys(options), ['stdio', 'env', 'execArgv']);
    assert.deepEqual(stdio, ['ignore', 'inherit', 'inherit', 'ipc']);
  });

  it('refuse NUL characters wherever they would reach the system', () => {
    const refused = [
      ['a\0b'],
      [ABOUT, ['a\0b']],
      [ABOUT, [], { cwd: '/\0' }],
      [ABOUT, [], { argv0: 'a\0' }],
      [ABOUT, [], { execPath: 'a\0' }],
      [ABOUT, [], { execArgv: ['a\0'] }],
      [ABOUT, [], { env: { 'a\0': '1' } }],
      [ABOUT, [], { env: { a: '1\0' } }],
    ];
    for (const args of refused) {
      assert.throws(() => fork(...args), { code: 'ERR_INVALID_ARG_VALUE' }, String(args));
    }
  });
});

describe("fork()'s program", () => {
  it('is this Node with its own execArgv by default', async () => {
    const { execPath, execArgv } = await about(ABOUT);
    assert.equal(fs.realpathSync(execPath), fs.realpathSync(process.execPath));
    assert.deepEqual(execArgv, process.execArgv);
  });

  it('gets the execArgv that were given and no other', async () => {
    const given = ['--no-warnings', '--stack-size=900'];
    const { execArgv } = await about(ABOUT, [], { execArgv: given });
    assert.deepEqual(execArgv, given);
  });

  it("does not get the parent's -e and its code", async () => {
    const subject = JSON.stringify(require.resolve('../helpers/subject'));
    const code = `require(${subject}).fork(${JSON.stringify(ABOUT)})
      .on('message', ({ execArgv }) => console.log(execArgv.join()))`;
    const { stdout } = await run(process.execPath, ['--no-warnings', '-e', code]);
    assert.equal(stdout, '--no-warnings\n');
  });

  it('is execPath', async () => {
    const link = path.join(fs.mkdtempSync('/tmp/forkwire-'), 'other-node');
    fs.symlinkSync(process.execPath, link);
    try {
      const { argv0 } = await about(ABOUT, [], { execPath: link });
      assert.equal(argv0, link);
    } finally {
      fs.rmSync(path.dirname(link), { recursive: true });
    }
  });

  it('is not taken from a polluted Object.prototype', async () => {
    Object.prototype.execPath = '/nowhere';
    try {
      await about(ABOUT, [], {});
    } finally {
      delete Object.prototype.execPath;
    }
  });

  it('runs without a shell, whatever the options say', async () => {
    const { argv } = await about(ABOUT, ['$HOME', ';exit 3'], { shell: true });
    assert.deepEqual(argv.slice(2), ['$HOME', ';exit 3']);
  });

  it('runs in cwd', async () => {
    const { cwd } = await about(ABOUT, [], { cwd: '/' });
    assert.equal(cwd, '/');
  });

  it('leads a process group of its own when detached', async () => {
    const { pid, group } = await about(ABOUT, [], { detached: true });
    assert.equal(group, pid);
  });

  it('runs with the given uid and gid', async function () {
    if (process.getuid() !== 0) this.skip();
    // Node itself must be reachable for that user, which is not so everywhere.
    const { uid, gid } = await about(ABOUT, [], { uid: process.getuid(), gid: 65534 });
    assert.deepEqual([uid, gid], [0, 65534]);
  });

  it('that does not exist is an error event, with the events of the end behind it', async () => {
    const child = fork(ABOUT, [], { execPath: '/nowhere/node' });
    const seen = [];
    for (const name of ['error', 'exit', 'close', 'disconnect']) {
      child.on(name, () => seen.push(name));
    }
    child.on('message', () => seen.push('message'));
    let failure;
    const sent = child.send('lost', (error) => {
      failure = error;
      seen.push('sent');
    });
    const [error] = await once(child, 'error');
    await once(child, 'disconnect');
    assert.equal(error.code, 'ENOENT');
    assert.equal(sent, true);
    assert.equal(failure.code, 'EPIPE');
    assert.deepEqual(seen, ['error', 'sent', 'close', 'disconnect']);
    assert.equal(child.connected, false);
  });
});

describe('fork() without a free descriptor', () => {
  // With none or one, Node is left to fail, and leaks what it got (26: one); three are enough for some versions.
  for (const [free, leak] of [
    [0, 1],
    [2, 0],
  ]) {
    itIsBetter(`fails with an error event, and leaves none behind (${free} are free)`, async () => {
      const command = `ulimit -n 100; exec "$0" "$@"`;
      const args = functionArgs(exhaust, [IDLE, free]);
      const { stdout, stderr } = await run('sh', ['-c', command, process.execPath, ...args]);
      assert.equal(stderr, '');
      const { events, left } = JSON.parse(stdout);
      assert.deepEqual(events, ['error EMFILE', 'close']);
      assert.ok(left <= leak, `${left} descriptors left`);
    });
  }
});

/** Forks when only `free` descriptors can still be opened. */
function exhaust(idle, free) {
  const fs = require('node:fs');
  const { descriptorsOf, newDescriptors } = require('../helpers/descriptors');
  const { fork } = require('../helpers/subject');
  const before = descriptorsOf();
  const files = [];
  try {
    for (;;) files.push(fs.openSync('/dev/null'));
  } catch {
    for (let i = 0; i < free; i++) fs.closeSync(files.pop());
  }
  const child = fork(idle);
  for (const file of files) fs.closeSync(file);
  const events = [];
  child.on('error', ({ code }) => events.push(`error ${code}`));
  for (const name of ['exit', 'close', 'disconnect']) child.on(name, () => events.push(name));
  process.on('exit', () => {
    const left = newDescriptors(before, descriptorsOf()).length;
    console.log(JSON.stringify({ events, left }));
  });
}

describe("fork()'s environment", () => {
  it("is the parent's by default", async () => {
    process.env.FORKWIRE_TEST_MARK = 'from the parent';
    try {
      const { env } = await about(ABOUT);
      assert.equal(env.FORKWIRE_TEST_MARK, 'from the parent');
    } finally {
      delete process.env.FORKWIRE_TEST_MARK;
    }
  });

  it('is replaced by env', async () => {
    const { env } = await about(ABOUT, [], { env: { ONLY: 'this' } });
    assert.deepEqual(env, { ONLY: 'this' });
  });
});

describe("fork()'s stdio", () => {
  it('is inherited by default', async () => {
    const child = forkFixture('idle.js');
    assert.deepEqual([child.stdin, child.stdout, child.stderr], [null, null, null]);
    await nextMessage(child);
    child.disconnect();
    await exited(child);
  });

  it('consists of pipes when silent', async () => {
    const child = forkFunction({ silent: true }, () => console.log('to stdout'));
    child.stdout.setEncoding('utf8');
    const [[text]] = await Promise.all([once(child.stdout, 'data'), once(child, 'close')]);
    assert.equal(text, 'to stdout\n');
    assert.ok(child.stdin && child.stderr);
  });

  it('stdio wins over silent', async () => {
    const child = fork(ABOUT, [], { silent: true, stdio: 'ignore' });
    assert.equal(child.stdout, null);
    await exited(child);
  });

  for (const word of some(['pipe', 'overlapped', 'ignore', 'inherit'], 0, 2)) {
    it(`may be the word '${word}'`, async () => {
      const child = fork(ABOUT, [], { stdio: word });
      assert.equal(child.stdio.length, 4);
      assert.equal(child.stdout !== null, word === 'pipe' || word === 'overlapped');
      assert.equal((await nextMessage(child)).pid, child.pid);
      await exited(child);
    });
  }

  it('is refused as any other word', () => {
    for (const stdio of ['', 'foo', 'ipc']) {
      assert.throws(() => fork(ABOUT, [], { stdio }), { code: 'ERR_INVALID_ARG_VALUE' });
    }
  });

  it("is refused without 'ipc', and with two", () => {
    const ignored = ['ignore', 'ignore', 'ignore'];
    assert.throws(() => fork(ABOUT, [], { stdio: ignored }), {
      code: 'ERR_CHILD_PROCESS_IPC_REQUIRED',
    });
    assert.throws(() => fork(ABOUT, [], { stdio: [...ignored, 'ipc', 'ipc'] }), {
      code: 'ERR_IPC_ONE_PIPE',
    });
  });

  for (const slot of some([0, 1, 2, 3, 4, 7], 0, 4)) {
    it(`may have 'ipc' at index ${slot}, with entries behind it`, async () => {
      const stdio = [
        'pipe',
        'pipe',
        'inherit',
        'pipe',
        'ignore',
        'pipe',
        'ignore',
        'ignore',
        'pipe',
      ];
      stdio[slot] = 'ipc';
      const child = fork(ABOUT, [], { stdio });
      assert.equal(child.stdio.length, stdio.length);
      assert.equal(child.stdio[slot], null);
      if (slot < 3) assert.equal([child.stdin, child.stdout, child.stderr][slot], null);
      assert.ok(child.stdio[8]);
      const found = await nextMessage(child);
      assert.equal(found.channelFd, slot);
      await once(child, 'close');
    });
  }

  it('may hold handles and descriptors beside the channel', async () => {
    const file = fs.openSync('/dev/null', 'r');
    const child = fork(ABOUT, [], { stdio: ['ignore', 'inherit', 'inherit', file, 'ipc'] });
    fs.closeSync(file);
    const { descriptors } = await nextMessage(child);
    assert.equal(descriptors[3], '/dev/null');
    await exited(child);
  });
});

describe("fork()'s signal and timeout", () => {
  /** Resolves with { error, code, signal } after the child's end. */
  async function killedBy(child, action) {
    let error = null;
    child.on('error', (reason) => {
      error = reason;
    });
    await action();
    return { error, ...(await exited(child)) };
  }

  it('abort ends the child with SIGTERM and an AbortError', async () => {
    const controller = new AbortController();
    const child = fork(IDLE, [], { signal: controller.signal });
    const { error, signal } = await killedBy(child, async () => {
      await nextMessage(child);
      controller.abort(new Error('enough'));
    });
    assert.equal(signal, 'SIGTERM');
    assert.equal(error.name, 'AbortError');
    assert.equal(error.cause.message, 'enough');
  });

  it('abort uses killSignal', async () => {
    const controller = new AbortController();
    const child = fork(IDLE, [], { signal: controller.signal, killSignal: 'SIGKILL' });
    const { error, signal } = await killedBy(child, async () => controller.abort());
    assert.equal(signal, 'SIGKILL');
    assert.equal(error.name, 'AbortError');
  });

  it('a signal that is aborted already has the same effect, asynchronously', async () => {
    const child = fork(IDLE, [], { signal: AbortSignal.abort() });
    const { error, signal } = await killedBy(child, async () => {});
    assert.equal(signal, 'SIGTERM');
    assert.equal(error.name, 'AbortError');
  });

  it('abort after the exit does nothing', async () => {
    const controller = new AbortController();
    const child = fork(ABOUT, [], { signal: controller.signal });
    const { error, code } = await killedBy(child, () => nextMessage(child));
    controller.abort();
    await new Promise(setImmediate);
    assert.equal(error, null);
    assert.equal(code, 0);
  });

  it('timeout kills with killSignal', async () => {
    const child = fork(IDLE, [], { timeout: 20, killSignal: 'SIGKILL' });
    const { error, signal } = await killedBy(child, async () => {});
    assert.equal(signal, 'SIGKILL');
    assert.equal(error, null);
  });

  it('a bad timeout or signal is refused', () => {
    const code = /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/;
    for (const timeout of ['1', -1, true]) {
      assert.throws(() => fork(IDLE, [], { timeout }), { code });
    }
    assert.throws(() => fork(IDLE, [], { signal: 'abort' }), INVALID);
  });
});

describe('what fork() shares with spawn()', () => {
  it('refuses an unknown serialization', () => {
    assert.throws(() => fork(ABOUT, [], { serialization: 'xml' }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message:
        /^The property 'options\.serialization' must be one of: undefined, 'json', 'advanced'/,
    });
  });

  it("gives spawn() with 'ipc' a channel, and without it none", async () => {
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
    const child = spawn(process.execPath, [ABOUT], { stdio });
    assert.equal((await nextMessage(child)).pid, child.pid);
    await exited(child);

    const other = spawn('true');
    assert.equal(other.connected, false);
    assert.deepEqual([other.channel, other.send, other.disconnect], Array(3).fill(undefined));
    await once(other, 'close');
  });

  it("tells the diagnostics channel 'child_process' of each child", async () => {
    const seen = [];
    const listener = ({ process: child }) => seen.push(child);
    diagnosticsChannel.subscribe('child_process', listener);
    const child = fork(IDLE);
    diagnosticsChannel.unsubscribe('child_process', listener);
    assert.deepEqual(seen, [child]);
    child.disconnect();
    await exited(child);
  });

  itIsBetter('uses the native wire for both', async () => {
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
    const children = [fork(IDLE), spawn(process.execPath, [IDLE], { stdio })];
    for (const child of children) {
      assert.equal(child.channel.protocol, 'native');
      child.disconnect();
      await exited(child);
    }
  });
});
