'use strict';

// What a child's program, and programs that either end starts, see of the channel: nothing.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { descriptorsOf } = require('../helpers/descriptors');
const { exited, nextMessage } = require('../helpers/events');
const { fixture, forkFixture, forkFunction } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');
const { some } = require('../helpers/scale');
const { fork, isStock, itIsBetter, spawn } = require('../helpers/subject');

const ROOT = path.join(__dirname, '../..');
const ABOUT = fixture('about.js');

let folder;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true });
});

async function about(options) {
  const child = fork(ABOUT, [], options);
  const [found] = await Promise.all([nextMessage(child), exited(child)]);
  return found;
}

/** A script that marks its process, to be required through NODE_OPTIONS. */
function marker(name) {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, "process.env.MARKED = (process.env.MARKED ?? '') + '+';\n");
  return file;
}

const quoted = (file) => `"${file.replace(/["\\]/g, '\\$&')}"`;

describe("a child's environment", () => {
  it('holds what was given and no trace of the channel', async () => {
    const { env } = await about({ env: { PATH: '/bin', EMPTY: '', SPACE: ' a b ', 'O"DD': '=' } });
    assert.deepEqual(env, { PATH: '/bin', EMPTY: '', SPACE: ' a b ', 'O"DD': '=' });
  });

  it('holds no trace when it is inherited', async () => {
    const { env } = await about({});
    const names = Object.keys(env).filter((name) => /FORKWIRE_CHANNEL|NODE_CHANNEL/.test(name));
    assert.deepEqual(names, []);
    assert.equal(env.NODE_OPTIONS, process.env.NODE_OPTIONS);
  });

  const values = ['', ' ', '--no-warnings', '  --no-warnings   --stack-trace-limit=20 '];
  for (const value of some(values, 1, 3)) {
    it(`keeps NODE_OPTIONS=${JSON.stringify(value)} as it was, and obeys it`, async () => {
      const { env, execArgv } = await about({ env: { NODE_OPTIONS: value } });
      assert.deepEqual(env, { NODE_OPTIONS: value });
      assert.deepEqual(execArgv, process.execArgv);
    });
  }

  const files = ['plain.js', 'with space.js', 'with "quotes".js', "a b/c's.js", 'back\\slash.js'];
  for (const name of some(files, 2, 3)) {
    it(`keeps a --require of ${name} in NODE_OPTIONS, which still runs, once`, async () => {
      const NODE_OPTIONS = `--no-warnings --require ${quoted(marker(name))}`;
      const { env } = await about({ env: { NODE_OPTIONS } });
      assert.deepEqual(env, { NODE_OPTIONS, MARKED: '+' });
    });
  }

  it("keeps the parent's own NODE_OPTIONS", async () => {
    process.env.NODE_OPTIONS = `--require ${quoted(marker('mine.js'))}`;
    try {
      const { env } = await about({});
      assert.equal(env.NODE_OPTIONS, process.env.NODE_OPTIONS);
      assert.equal(env.MARKED, '+');
    } finally {
      delete process.env.NODE_OPTIONS;
    }
  });

  it('gets execArgv as it was given, and nothing of ours', async () => {
    const { execArgv } = await about({ execArgv: ['--no-warnings'] });
    assert.deepEqual(execArgv, ['--no-warnings']);
    assert.deepEqual((await about({ execArgv: [] })).execArgv, []);
  });

  it('leaves require.main to its program', async () => {
    const child = forkFunction(() => process.send(require.main.filename));
    assert.equal(await nextMessage(child), fixture('run-function.js'));
    await exited(child);
  });
});

describe('a copy of the package', () => {
  const odd = [
    'with space',
    'with "double" quotes',
    "with 'single' quotes",
    'back\\slash',
    'Ünïcode',
    '$HOME',
  ];
  for (const name of some(odd, 1, 3)) {
    itIsBetter(`works in a folder ${name}`, async () => {
      const copy = path.join(folder, name);
      fs.cpSync(path.join(ROOT, 'lib'), path.join(copy, 'lib'), { recursive: true });
      fs.cpSync(path.join(ROOT, 'package.json'), path.join(copy, 'package.json'));
      const binary = 'build/Release/forkwire.node';
      fs.cpSync(path.join(ROOT, binary), path.join(copy, binary));
      const child = require(copy).fork(ABOUT, [], { env: { KEPT: 'yes' } });
      assert.equal(child.channel.protocol, 'native');
      const [{ env }] = await Promise.all([nextMessage(child), exited(child)]);
      assert.deepEqual(env, { KEPT: 'yes' });
    });
  }
});

describe('a program that is started plainly', () => {
  /** The descriptors of a program that runs beside a channel, as { fd: target }. */
  function listing(lines) {
    return lines.split('\n').filter((line) => line.includes('socket:'));
  }

  it('by the parent inherits no channel', async () => {
    const child = forkFixture('idle.js');
    await nextMessage(child);
    const { stdout } = await run('ls', ['-l', '/proc/self/fd']);
    const own = descriptorsOf().get(child.channel.fd);
    assert.match(own, /^socket:/);
    assert.ok(!stdout.includes(own), stdout);
    child.disconnect();
    await exited(child);
  });

  it('by the parent in the very moment of fork() inherits no channel', async () => {
    const children = [];
    const listings = [];
    for (let i = 0; i < 3; i++) {
      children.push(forkFixture('idle.js'));
      listings.push(run('ls', ['-l', '/proc/self/fd']));
    }
    const channels = children.map(({ channel }) => descriptorsOf().get(channel.fd));
    for (const { stdout } of await Promise.all(listings)) {
      for (const channel of channels) assert.ok(!stdout.includes(channel), stdout);
    }
    for (const child of children) {
      child.disconnect();
      await exited(child);
    }
  });

  it('by the child inherits no channel and no variables', async () => {
    const child = forkFunction(() => {
      const { execFileSync } = require('node:child_process');
      process.send({
        channel: require('node:fs').readlinkSync(`/proc/self/fd/${process.channel.fd}`),
        descriptors: execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' }),
        variables: execFileSync('env', { encoding: 'utf8' }),
      });
    });
    const { channel, descriptors, variables } = await nextMessage(child);
    assert.match(channel, /^socket:/);
    assert.ok(!descriptors.includes(channel), descriptors);
    assert.doesNotMatch(variables, /_CHANNEL|preload\.js/);
    await exited(child);
  });

  it('as a Node of the child has no channel', async () => {
    const child = forkFunction(() => {
      const { execFileSync } = require('node:child_process');
      const code = 'console.log(typeof process.send, process.connected, process.channel)';
      process.send(execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' }));
    });
    assert.equal(await nextMessage(child), 'undefined undefined undefined\n');
    await exited(child);
  });

  it('beside another child does not hold the channel of that one', async () => {
    const first = forkFixture('idle.js');
    const second = forkFixture('idle.js');
    await Promise.all([nextMessage(first), nextMessage(second)]);
    for (const { pid } of [first, second]) {
      assert.equal(listing([...descriptorsOf(pid).values()].join('\n')).length, 1);
    }
    for (const child of [first, second]) child.disconnect();
    await Promise.all([exited(first), exited(second)]);
  });
});

describe('a variable that was meant for another process', () => {
  const values = ['3:1:serialization=json', '0:0', 'nonsense', '', '99999:1'];
  for (const value of some(values, 0, 2)) {
    itIsBetter(`is ignored and removed: ${JSON.stringify(value)}`, async () => {
      const preload = path.join(ROOT, 'lib/preload.js');
      const code = 'console.log(typeof process.send, process.env.FORKWIRE_CHANNEL)';
      const env = { FORKWIRE_CHANNEL: value, NODE_OPTIONS: `--require ${quoted(preload)}` };
      const { stdout, stderr } = await run(process.execPath, ['-e', code], { env });
      assert.equal(stdout, 'undefined undefined\n');
      assert.equal(stderr, '');
    });
  }
});

describe('a child of a child', () => {
  it('has a channel of its own, forked by whichever fork()', async () => {
    const child = forkFunction(() => {
      const { fork } = require('node:child_process');
      const subject = require('../helpers/subject');
      const file = require.resolve('./about.js');
      const answers = [];
      for (const start of [fork, subject.fork]) {
        start(file).on('message', ({ env, pid }) => {
          answers.push([env.NODE_OPTIONS === undefined, pid !== process.pid]);
          if (answers.length === 2) process.send(answers);
        });
      }
    });
    assert.deepEqual(await nextMessage(child), Array(2).fill([true, true]));
    await exited(child);
  });

  itIsBetter('is reached through a shell that stays in between', async () => {
    const child = spawn('sh', ['-c', '"$0" "$@"; exit 3', process.execPath, ABOUT], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      channel: 'native',
    });
    assert.equal(child.channel.protocol, 'native');
    const { pid } = await nextMessage(child);
    assert.notEqual(pid, child.pid);
    assert.deepEqual(await once(child, 'close'), [3, null]);
  });
});

describe('a Worker of a child', () => {
  it('has no channel and sees no variables of it', async () => {
    const child = forkFunction(() => {
      const { Worker } = require('node:worker_threads');
      const code = `require('node:worker_threads').parentPort.postMessage([
        typeof process.send, process.env.FORKWIRE_CHANNEL, process.env.NODE_OPTIONS, process.channel])`;
      new Worker(code, { eval: true }).on('message', (found) => process.send(found));
    });
    assert.deepEqual(await nextMessage(child), ['undefined', null, null, null]);
    await exited(child);
  });
});

it('the module exports all of child_process', () => {
  if (isStock) return;
  const own = require('../..');
  assert.deepEqual(
    Object.keys(own).toSorted(),
    Object.keys(require('node:child_process')).toSorted(),
  );
});
