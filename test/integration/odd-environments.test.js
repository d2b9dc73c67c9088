'use strict';

// Environments in which it is easy to choose a wire that the child does not speak, or to miss a file: the program that
// runs is another than the name says, files are gone, options mean something else.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { exited, messagesOf } = require('../helpers/events');
const { fixture, forkFunction } = require('../helpers/fork-fixture');
const { functionArgs, run } = require('../helpers/run');
const { isLong, itInLong } = require('../helpers/scale');
const { fork, isStock } = require('../helpers/subject');

const ROOT = path.join(__dirname, '../..');
const ECHO = fixture('echo.js');

(isStock ? describe.skip : describe)('in an odd environment', () => {
  let folder;

  beforeEach(() => {
    // Readable for everybody, as a package is, and so that others can go through it.
    folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-')));
    fs.chmodSync(folder, 0o755);
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** An installation of its own, addon included, as node_modules/forkwire of a folder. */
  function install() {
    const to = path.join(folder, 'node_modules/forkwire');
    fs.cpSync(path.join(ROOT, 'lib'), path.join(to, 'lib'), { recursive: true });
    fs.cpSync(path.join(ROOT, 'package.json'), path.join(to, 'package.json'));
    fs.mkdirSync(path.join(to, 'build/Release'), { recursive: true });
    const addon = process.env.FORKWIRE_BINARY || path.join(ROOT, 'build/Release/forkwire.node');
    fs.cpSync(addon, path.join(to, 'build/Release/forkwire.node'));
    return to;
  }

  /** Runs `body(given)` in a Node of its own, whose package is the installation. What it prints, line by line. */
  async function outputOf(nodeArgs, body, given, options = {}) {
    const env = { ...process.env, FORKWIRE_BINARY: '', ...options.env };
    const args = [...nodeArgs, ...functionArgs(body, [given])];
    const { code, signal, stdout, stderr } = await run(process.execPath, args, { ...options, env });
    assert.equal(stderr, '');
    assert.deepEqual([code, signal], [0, null]);
    return stdout.trimEnd().split('\n');
  }

  /** What each process here runs: a child that echoes, forked in a given way; prints its protocol, its answer and why. */
  const HELPERS = () => {
    globalThis.converse = async (child) => {
      const { once } = require('node:events');
      child.send('hello');
      const [answer] = await once(child, 'message');
      const { protocol, protocolReason } = child.channel;
      child.disconnect();
      await once(child, 'exit');
      console.log([String(protocol), answer, protocolReason].filter(Boolean).join(' '));
    };
  };

  function helpers() {
    const file = path.join(folder, 'helpers.js');
    fs.writeFileSync(file, `(${HELPERS})();`);
    return ['--require', file];
  }

  function program(name, ...lines) {
    const file = path.join(folder, name);
    fs.writeFileSync(file, ['#!/bin/sh', ...lines].join('\n'), { mode: 0o755 });
    return file;
  }

  describe('the program that runs', () => {
    it('is what counts, not what process.execPath says', async () => {
      const wrapper = program('node', 'unset NODE_OPTIONS', `exec "${process.execPath}" "$@"`);
      const body = async ({ index, echo, wrapper }) => {
        const { fork } = require(index);
        const node = process.execPath;
        process.execPath = wrapper;
        await globalThis.converse(fork(echo));
        await globalThis.converse(fork(echo, [], { execPath: node }));
      };
      const given = { index: ROOT, echo: ECHO, wrapper };
      const lines = await outputOf(helpers(), body, given);
      assert.deepEqual(lines, [`node hello ${wrapper} is not this Node`, 'native hello']);
    });

    it('is found where the working directory is gone', async () => {
      const body = async ({ index, echo, gone }) => {
        const { fork } = require(index);
        process.chdir(gone);
        require('node:fs').rmdirSync(gone);
        await globalThis.converse(fork(echo));
        await globalThis.converse(fork(echo, [], { cwd: '/' }));
        await globalThis.converse(fork(echo, [], { execPath: 'node' }));
      };
      const gone = path.join(folder, 'gone');
      fs.mkdirSync(gone);
      const given = { index: ROOT, echo: ECHO, gone };
      const env = { PATH: path.dirname(process.execPath) };
      const lines = await outputOf(helpers(), body, given, { env });
      assert.deepEqual(lines, Array(3).fill('native hello'));
    });

    it('is known without /proc, and stays so when another takes its place', async function () {
      const copy = path.join(folder, 'node');
      fs.copyFileSync(process.execPath, copy);
      const body = async ({ index, echo, wrapper }) => {
        const { fork } = require(index);
        await globalThis.converse(fork(echo));
        require('node:fs').renameSync(wrapper, process.execPath);
        await globalThis.converse(fork(echo));
      };
      const wrapper = program('wrapper', 'unset NODE_OPTIONS', `exec "${process.execPath}" "$@"`);
      const args = [...helpers(), ...functionArgs(body, [{ index: ROOT, echo: ECHO, wrapper }])];
      const withoutProc = 'mount -t tmpfs none /proc && exec "$0" "$@"';
      const { stdout, stderr } = await run('unshare', [
        '-m',
        'sh',
        '-c',
        withoutProc,
        copy,
        ...args,
      ]);
      if (/unshare|mount/.test(stderr)) this.skip(); // only root may
      // Without /proc Node knows the program by the name that it was started as.
      assert.equal(stdout, `native hello\nnode hello ${copy} is not this Node\n`, stderr);
    });
  });

  describe('an option', () => {
    for (const [option, file] of Object.entries({
      '--env_file=variables': 'A=1',
      '--experimental-config-file=config.json': '{"nodeOptions":{"addons":false}}',
      '--config-file=config.json': '{"nodeOptions":{"addons":false}}',
    })) {
      const [name, value] = option.split('=');
      const known = name.replaceAll('_', '-');
      const isKnown = execFileSync(process.execPath, ['--help'], { encoding: 'utf8' }).includes(
        known,
      );
      (isKnown ? it : it.skip)(`${option} is seen`, async () => {
        fs.writeFileSync(path.join(folder, value), file);
        const child = fork(ECHO, [], { execArgv: [option], cwd: folder, silent: true });
        assert.equal(child.channel.protocol, 'node');
        assert.match(child.channel.protocolReason, new RegExp(`^with ${known}=`));
        child.send('hello');
        assert.deepEqual(await once(child, 'message'), ['hello', undefined]);
        child.disconnect();
        await exited(child);
      });
    }

    it('that has Node print something and end is not the business of forkwire', async () => {
      const child = fork(ECHO, [], { execArgv: ['--version'], silent: true });
      child.on('error', assert.fail);
      assert.equal(child.channel.protocol, 'node');
      assert.deepEqual(await once(child, 'close'), [0, null]);
    });
  });

  describe('where files of forkwire', () => {
    /** Echoes handles as well. */
    function echoAll() {
      const file = path.join(folder, 'echo-all.js');
      const text = `process.on('message', (message, handle) =>
        process.send(message, handle, () => handle?.close()));`;
      fs.writeFileSync(file, text);
      return file;
    }

    const ways = {
      'are removed': (to) => fs.rmSync(to, { recursive: true }),
      'lose the preload': (to) => {
        fs.rmSync(path.join(to, 'lib/preload.js'));
        fs.rmSync(path.join(to, 'lib/register.js'));
      },
      'lose the addon': (to) => fs.rmSync(path.join(to, 'build'), { recursive: true }),
      'are replaced by others': (to) => {
        fs.rmSync(path.join(to, 'lib'), { recursive: true });
        fs.mkdirSync(path.join(to, 'lib'));
        const text = "throw new Error('the wrong file')";
        for (const name of ['preload', 'register', 'spawn', 'loader', 'child', 'handle-traffic']) {
          fs.writeFileSync(path.join(to, `lib/${name}.js`), text);
        }
      },
      'are overwritten': (to) => {
        for (const name of fs.readdirSync(path.join(to, 'lib'))) {
          fs.writeFileSync(path.join(to, 'lib', name), "throw new Error('the wrong file')");
        }
      },
      'get an addon that cannot be loaded': (to) => {
        const addon = path.join(to, 'build/Release/forkwire.node');
        fs.rmSync(addon);
        fs.writeFileSync(addon, 'none');
      },
    };

    /** Forks before and after a change that the test makes in between. */
    const forkTwice = async ({ index, echo, isFirst }) => {
      const { fork } = require(index);
      if (isFirst) await globalThis.converse(fork(echo));
      globalThis.change();
      await globalThis.converse(fork(echo));
      const net = require('node:net');
      const server = net.createServer().listen(0);
      const child = fork(echo, [], { serialization: 'advanced' });
      await require('node:events').once(server, 'listening');
      child.send(new Map([[1, 2]]), server);
      const [answer, got] = await require('node:events').once(child, 'message');
      console.log(answer.get(1), got instanceof net.Server);
      got?.close();
      server.close();
      child.disconnect();
    };

    for (const [index, [how, change]] of Object.entries(ways).entries()) {
      const ofChange = (to) => {
        const file = path.join(folder, 'change.js');
        const text = `const fs = require('node:fs'); const path = require('node:path');
          globalThis.change = () => (${change.toString()})(${JSON.stringify(to)});`;
        fs.writeFileSync(file, text);
        return ['--require', file];
      };

      (index % 4 === 1 ? it : itInLong)(`${how}, fork() uses stock Node's wire`, async () => {
        const to = install();
        const given = { index: path.join(to, 'lib/index.js'), echo: echoAll() };
        const lines = await outputOf([...helpers(), ...ofChange(to)], forkTwice, given);
        assert.match(lines[0], /^node hello \/.* was replaced or removed, or cannot be read$/);
        assert.equal(lines[1], '2 true');
      });

      const itUnder = index % 4 === 0 ? it : itInLong;
      itUnder(
        `${how}, programs under register go on, those that never forked as well`,
        async () => {
          for (const isFirst of [true, false]) {
            const to = install();
            const given = { index: 'node:child_process', echo: echoAll(), isFirst };
            const register = path.join(to, 'lib/register.js');
            const args = [...helpers(), ...ofChange(to), '--require', register];
            const { stdout, stderr } = await run(
              process.execPath,
              [...args, ...functionArgs(forkTwice, [given])],
              { env: { ...process.env, FORKWIRE_BINARY: '' } },
            );
            const lines = stdout.trimEnd().split('\n');
            if (isFirst) assert.equal(lines.shift(), 'native hello');
            assert.match(lines[0], /^(node|undefined) hello ./, stderr);
            assert.equal(lines[1], '2 true', stderr);
          }
        },
      );
    }

    it('cannot be read by the user that a process became', async function () {
      if (process.getuid() !== 0) this.skip();
      const to = install();
      const index = path.join(to, 'lib/index.js');
      const body = async ({ index, echo, to, kind }) => {
        const { fork } = require(index);
        require('node:fs').chmodSync(to, 0o700);
        if (kind === 'both') process.setgid(65534);
        if (kind === 'both') process.setuid(65534);
        else process.seteuid(65534);
        await globalThis.converse(fork(echo));
      };
      const echo = path.join(folder, 'echo.js');
      fs.copyFileSync(ECHO, echo);
      const nodeArgs = helpers();
      const both = await outputOf(nodeArgs, body, { index, echo, to, kind: 'both' });
      assert.match(both[0], /^node hello \/.* was replaced or removed, or cannot be read$/);
      fs.chmodSync(to, 0o755);
      const effective = await outputOf(nodeArgs, body, { index, echo, to, kind: 'effective' });
      assert.match(effective[0], /^node hello this process's effective uid/);
    });
  });

  describe('the variables of a child', () => {
    it('may hold those of a channel of stock Node', async () => {
      for (const channel of ['native', 'node']) {
        const env = { NODE_CHANNEL_FD: '77', NODE_CHANNEL_SERIALIZATION_MODE: 'nonsense' };
        const child = forkFunction({ env, channel }, () => {
          process.on('message', () => {
            const { NODE_CHANNEL_FD, NODE_CHANNEL_SERIALIZATION_MODE } = process.env;
            process.send([NODE_CHANNEL_FD, NODE_CHANNEL_SERIALIZATION_MODE]);
            process.disconnect();
          });
        });
        child.send('hello');
        const [found] = await once(child, 'message');
        assert.deepEqual(found, [null, null], channel);
        assert.deepEqual(await exited(child), { code: 0, signal: null });
      }
    });

    it('hold no preload where the child sees it under another path', async () => {
      const to = install();
      const link = path.join(folder, 'link');
      fs.symlinkSync(to, link);
      const body = async ({ index }) => {
        const { fork } = require(index);
        const code = 'process.send(String(process.env.NODE_OPTIONS)); process.disconnect()';
        const file = require('node:path').join(require('node:os').tmpdir(), `${process.pid}.js`);
        require('node:fs').writeFileSync(file, code);
        for (const NODE_OPTIONS of [undefined, '--no-warnings']) {
          const child = fork(file, [], { env: { ...(NODE_OPTIONS && { NODE_OPTIONS }) } });
          const [said] = await require('node:events').once(child, 'message');
          console.log(child.channel?.protocol, said);
        }
        require('node:fs').rmSync(file);
      };
      const given = { index: path.join(link, 'lib/index.js') };
      const expected = ['native undefined', 'native --no-warnings'];
      const lines = (output) => output.map((line) => line.replace(/^undefined (?=.)/, 'native '));
      assert.deepEqual(lines(await outputOf(['--preserve-symlinks'], body, given)), expected);
      assert.deepEqual(lines(await outputOf([], body, given)), expected);
    });

    it('may be none, and the folder another: it finds the addon of its parent', async () => {
      const to = install();
      const addon = path.join(folder, 'moved.node');
      fs.renameSync(path.join(to, 'build/Release/forkwire.node'), addon);
      const body = async ({ index, echo }) => {
        await globalThis.converse(require(index).fork(echo, [], { env: {}, cwd: '/' }));
      };
      const given = { index: path.join(to, 'lib/index.js'), echo: ECHO };
      const options = { cwd: folder, env: { FORKWIRE_BINARY: './moved.node' } };
      assert.deepEqual(await outputOf(helpers(), body, given, options), ['native hello']);
      const register = ['--require', path.join(to, 'lib/register.js')];
      const later = async ({ echo }) => {
        process.chdir('/');
        await globalThis.converse(require('node:child_process').fork(echo, [], { env: {} }));
      };
      assert.deepEqual(await outputOf([...helpers(), ...register], later, given, options), [
        'native hello',
      ]);
    });
  });

  describe('register', () => {
    const elsewhere = async ({ echo }) => {
      const { execFileSync, fork } = require('node:child_process');
      await globalThis.converse(fork(echo, [], { cwd: '/' }));
      process.chdir('/');
      await globalThis.converse(fork(echo));
      const args = [...process.execArgv, '-e', 'console.log(process.execArgv.length > 0)'];
      process.stdout.write(execFileSync(process.execPath, args));
    };

    for (const [option, name] of [
      ['--require', 'forkwire/register'],
      ['-r', './node_modules/forkwire/lib/register'],
      ['--import', 'forkwire/register'],
    ]) {
      const itNamed = option === '--import' ? it : itInLong;
      itNamed(`named by ${option} ${name} reaches children in other folders`, async () => {
        install();
        const args = [...helpers(), option, name];
        const given = { echo: ECHO };
        const expected = ['native hello', 'native hello', 'true'];
        assert.deepEqual(await outputOf(args, elsewhere, given, { cwd: folder }), expected);
        if (option === '-r' || !isLong) return;
        const joined = [...helpers(), `${option}=${name}`];
        assert.deepEqual(await outputOf(joined, elsewhere, given, { cwd: folder }), expected);
        const env = { NODE_OPTIONS: `--no-warnings ${option} ${name}` };
        const options = { cwd: folder, env };
        assert.deepEqual(await outputOf(helpers(), elsewhere, given, options), expected);
      });
    }

    it("gives options that have the name of forkwire's no meaning", async () => {
      const to = install();
      const body = async ({ echo, isLong }) => {
        const { fork, spawn } = require('node:child_process');
        const all = [
          { channel: 'chrome', latency: 5, credit: 10, untrusted: 'maybe', maxQueueBytes: -1 },
          { exitFlush: 1, acceptHandles: 'no', maxMessageSize: 1 },
          { untrusted: true, serialization: 'advanced' },
          { channel: 'node' },
        ];
        const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
        await Promise.all(
          (isLong ? all : all.slice(0, 2)).flatMap((options) => [
            globalThis.converse(fork(echo, [], options)),
            globalThis.converse(spawn(process.execPath, [echo], { ...options, stdio })),
          ]),
        );
      };
      const args = [...helpers(), '--require', path.join(to, 'lib/register.js')];
      const lines = await outputOf(args, body, { echo: ECHO, isLong });
      assert.deepEqual(lines, Array(isLong ? 8 : 4).fill('native hello'));
    });

    it('lets a program write to its channel, and hand it on, where that is stock Node', async () => {
      const body = () => {
        const { spawn } = require('node:child_process');
        const { fd } = process.channel;
        require('node:fs').writeSync(fd, '"written"\n');
        const args = ['-e', `process.send('handed on', () => process.disconnect())`];
        const env = { ...process.env, NODE_CHANNEL_FD: '3' };
        spawn(process.execPath, args, { stdio: ['inherit', 'inherit', 'inherit', fd], env });
      };
      const child = forkFunction({ channel: 'node' }, body);
      assert.deepEqual(await messagesOf(child, 2), ['written', 'handed on']);
      assert.equal((await exited(child)).code, 0);

      // What comes of it on the native wire.
      const native = forkFunction(() => {
        require('node:fs').writeSync(process.channel.fd, '"written"\n');
        process.on('message', () => {});
      });
      const [error] = await once(native, 'error');
      assert.equal(error.code, 'ERR_FORKWIRE_PROTOCOL');
      assert.match(error.hint, /channel: 'node'/);
      await exited(native);
    });

    itInLong('leaves the native wire out where FORKWIRE_DISABLE says so', async () => {
      const to = install();
      const body = async ({ echo }) =>
        globalThis.converse(require('node:child_process').fork(echo));
      const args = [...helpers(), '--require', path.join(to, 'lib/register.js')];
      const env = { FORKWIRE_DISABLE: 'native' };
      const lines = await outputOf(args, body, { echo: ECHO }, { env });
      assert.deepEqual(lines, ['node hello FORKWIRE_DISABLE names it']);
    });
  });

  describe('a bundle', () => {
    /** What a bundle is to the loader: its text, in a file of another name; `head` is what bundlers put around it. */
    for (const [name, head] of Object.entries({
      'app.js': '',
      'app.mjs': `const require = (name) => { throw new Error('Dynamic require of ' + name); };`,
    })) {
      it(`(${name}) says what to do instead, before it needs anything else`, async () => {
        const text = fs.readFileSync(path.join(ROOT, 'lib/loader.js'), 'utf8');
        fs.writeFileSync(path.join(folder, name), `${head}\nconst module$1 = {};\n${text}`);
        const { code, stderr } = await run(process.execPath, [path.join(folder, name)]);
        assert.match(stderr, /forkwire cannot be part of a bundle.*--external:forkwire/);
        assert.match(stderr, /code: 'ERR_FORKWIRE_BUNDLED'/);
        assert.equal(code, 1);
      });
    }
  });

  describe('a child that never says HELLO', () => {
    it('and ends with 0 is reported, with its program and pid', async () => {
      const execPath = program('silent', 'exit 0');
      const child = fork(ECHO, [], { execPath, channel: 'native' });
      const [error] = await once(child, 'error');
      assert.equal(error.code, 'ERR_FORKWIRE_NO_HELLO');
      assert.deepEqual([error.pid, error.program], [child.pid, execPath]);
      assert.match(error.message, /silent, pid \d+: nothing .* Use \{ channel: 'node' \}/);
      await exited(child);
    });

    it('and closes its channel is reported while it lives', async () => {
      const execPath = program('silent', 'exec 3>&-', 'read line');
      const stdio = ['pipe', 'inherit', 'inherit', 'ipc'];
      const child = fork(ECHO, [], { execPath, stdio, channel: 'native' });
      const [error] = await once(child, 'error');
      assert.equal(error.code, 'ERR_FORKWIRE_NO_HELLO');
      assert.equal(child.exitCode, null);
      child.stdin.end('\n');
      await exited(child);
    });

    it('since it was killed, or nobody waited for it, is not', async () => {
      const killed = fork(ECHO, [], { channel: 'native' });
      killed.on('error', assert.fail);
      killed.kill('SIGKILL');
      const left = fork(ECHO, [], { execPath: program('silent', 'exit 0'), channel: 'native' });
      left.on('error', assert.fail);
      left.disconnect();
      await Promise.all([once(killed, 'close'), once(left, 'close')]);
    });
  });
});
