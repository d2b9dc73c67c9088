'use strict';

// forkwire under programs that know nothing of it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { fixture } = require('../helpers/fork-fixture');
const { functionArgs, run, runFunction } = require('../helpers/run');
const { isLong, itInLong, some } = require('../helpers/scale');
const { isStock } = require('../helpers/subject');

const ROOT = path.join(__dirname, '../..');
const REGISTER = path.join(ROOT, 'lib/register.js');
const PROTOCOLS = fixture('protocols.js');
const NATIVE = ['native', 'native'];

/** What a Node prints, which must end well and say nothing on stderr. */
async function outputOf(args, options) {
  const { code, signal, stdout, stderr } = await run(process.execPath, args, options);
  assert.equal(stderr, '');
  assert.deepEqual([code, signal], [0, null]);
  return stdout;
}

/** The same for a function under register. */
const outputUnder = (body, ...given) =>
  outputOf(['--require', REGISTER, ...functionArgs(body, given)]);

/** Another installation: its lib is copied, and changed by `change(name, text)`; its addon is this one's. */
function copyTo(folder, change = (_name, text) => text) {
  const lib = path.join(folder, 'lib');
  fs.mkdirSync(lib, { recursive: true });
  for (const name of fs.readdirSync(path.join(ROOT, 'lib'))) {
    const text = fs.readFileSync(path.join(ROOT, 'lib', name), 'utf8');
    fs.writeFileSync(path.join(lib, name), change(name, text));
  }
  fs.symlinkSync(path.join(ROOT, 'build'), path.join(folder, 'build'));
  return path.join(lib, 'register.js');
}

(isStock ? describe.skip : describe)('forkwire/register', () => {
  let folder;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  describe('reaches fork(), spawn() and cluster.fork(), and their children', () => {
    const ways = {
      'with --require': [['--require', REGISTER, PROTOCOLS]],
      'with --import': [['--import', REGISTER, PROTOCOLS]],
      'with NODE_OPTIONS': [
        [PROTOCOLS],
        { env: { ...process.env, NODE_OPTIONS: `--require ${JSON.stringify(REGISTER)}` } },
      ],
      'as a first line of the program': [[PROTOCOLS, REGISTER]],
      'given twice': [['--require', REGISTER, '--import', REGISTER, PROTOCOLS, REGISTER]],
    };
    for (const [way, args] of some(Object.entries(ways), 2)) {
      it(way, async () => {
        const { 'spawn at 0': atZero, ...found } = JSON.parse(await outputOf(...args));
        assert.deepEqual(found, {
          fork: NATIVE,
          spawn: NATIVE,
          'spawn at 7': NATIVE,
          cluster: NATIVE,
        });
        // Where the native wire cannot be, a channel works all the same.
        assert.notEqual(atZero[1], 'native');
      });
    }

    it('that were imported by name', async () => {
      const plain = fixture('esm/plain-fork.mjs');
      for (const option of some(['--require', '--import'], -1)) {
        assert.equal(await outputOf([option, REGISTER, plain]), 'native\n');
      }
      assert.equal(await outputOf([fixture('esm/register-first.mjs')]), 'native\n');
    });

    it('that were taken before the hook', async () => {
      const output = await outputOf(
        functionArgs(
          (register, idle) => {
            const { fork } = require('node:child_process');
            require(register);
            const child = fork(idle);
            console.log(child.channel.protocol);
            child.disconnect();
          },
          [REGISTER, fixture('idle.js')],
        ),
      );
      assert.equal(output, 'native\n');
    });

    it('in a Worker', async () => {
      const output = await outputUnder((idle) => {
        const { Worker } = require('node:worker_threads');
        const code = `
          const child = require('node:child_process').fork(${JSON.stringify(idle)});
          console.log(child.channel.protocol);
          child.disconnect();`;
        new Worker(code, { eval: true });
      }, fixture('idle.js'));
      assert.equal(output, 'native\n');
    });
  });

  it('leaves the environment of all other children as it is', async () => {
    const output = await outputUnder(() => {
      const { exec, execFile, execSync, spawn, spawnSync } = require('node:child_process');
      const { text } = require('node:stream/consumers');
      const { promisify } = require('node:util');
      // What a shell sets is not ours.
      const isOfShell = ([name]) => ['_', 'PWD', 'OLDPWD', 'SHLVL'].includes(name);
      const parse = (output) =>
        JSON.stringify(
          JSON.parse(output)
            .filter((pair) => !isOfShell(pair))
            .toSorted(),
        );
      const args = ['-e', 'console.log(JSON.stringify(Object.entries(process.env)))'];
      const { execPath } = process;
      const line = `"${execPath}" ${args[0]} '${args[1]}'`;
      Promise.all([
        promisify(execFile)(execPath, args).then(({ stdout }) => stdout),
        promisify(exec)(line).then(({ stdout }) => stdout),
        text(spawn(execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }).stdout),
        execSync(line),
        spawnSync(execPath, args).stdout,
      ]).then((outputs) => {
        const expected = parse(JSON.stringify(Object.entries(process.env)));
        console.log(JSON.stringify(outputs.map((output) => parse(output) === expected)));
      });
    });
    assert.deepEqual(JSON.parse(output), [true, true, true, true, true]);
  });

  it('loads neither child_process nor anything of its own until a child is started', async () => {
    const code = `console.log(JSON.stringify([
      Object.keys(require.cache).length,
      process.moduleLoadList.filter((name) => /^NativeModule (child_process|net|dgram|cluster)$/.test(name)),
    ]))`;
    const output = await outputOf(['--require', REGISTER, '-e', code]);
    assert.deepEqual(JSON.parse(output)[0], 2); // itself, and what it keeps of the built-ins
    // What console.log() to a pipe loads is not ours.
    const plain = await outputOf(['-e', code]);
    assert.deepEqual(JSON.parse(output)[1], JSON.parse(plain)[1]);
  });

  it('loads nothing of its own for a child without a channel', async () => {
    const output = await outputUnder(() => {
      const { spawn } = require('node:child_process');
      const { REGISTER } = process.env;
      spawn('true').on('close', () => {
        const ours = Object.keys(require.cache).filter((name) =>
          /lib.(spawn|attach)\.js$/.test(name),
        );
        console.log(JSON.stringify([REGISTER === undefined, ours]));
      });
    });
    assert.deepEqual(JSON.parse(output), [true, []]);
  });

  it('is below what others put over spawn() before the first child', async () => {
    const output = await outputUnder(
      (name, idle) => {
        const { ChildProcess, fork } = require(name);
        const { spawn } = ChildProcess.prototype;
        ChildProcess.prototype.spawn = function wrapped(options) {
          console.log(options.stdio.at(-1));
          return Reflect.apply(spawn, this, [options]);
        };
        const child = fork(idle);
        console.log(child.channel.protocol);
        child.disconnect();
      },
      'child_process',
      fixture('idle.js'),
    );
    assert.equal(output, 'ipc\nnative\n');
  });

  describe('in one process with', () => {
    /** Loads the files in turn, then forks; prints how many hooks there are and the protocols. */
    const forkUnder = (files) =>
      outputOf(
        functionArgs(
          (registers, idle) => {
            const { ChildProcess, fork } = require('node:child_process');
            const original = ChildProcess.prototype.spawn;
            const hooks = new Set();
            for (const file of registers) {
              require(file);
              hooks.add(ChildProcess.prototype.spawn);
            }
            hooks.delete(original);
            const child = fork(idle);
            console.log(JSON.stringify([hooks.size, child.channel.protocol]));
            child.once('message', () => child.disconnect());
          },
          [files, fixture('idle.js')],
        ),
      ).then(JSON.parse);

    itInLong('another copy hooks once', async () => {
      assert.deepEqual(await forkUnder([REGISTER, copyTo(folder)]), [1, 'native']);
      assert.deepEqual(await forkUnder([path.join(folder, 'lib/register.js'), REGISTER]), [
        1,
        'native',
      ]);
    });

    it('another copy, both as preloads, hooks once, and the child has the first', async () => {
      const copy = copyTo(folder);
      const body = (name, idle) => {
        const { ChildProcess, fork } = require(name);
        const { spawn } = ChildProcess.prototype;
        const child = fork(idle);
        console.log(
          JSON.stringify([ChildProcess.prototype.spawn === spawn, child.channel.protocol]),
        );
        child.once('message', () => child.disconnect());
      };
      const args = functionArgs(body, ['child_process', fixture('idle.js')]);
      const orders = [
        [REGISTER, copy],
        [copy, REGISTER],
      ];
      for (const [first, second] of some(orders, 1)) {
        const output = await outputOf(['--require', first, '--require', second, ...args]);
        assert.deepEqual(JSON.parse(output), [true, 'native']);
      }
    });

    it('a version that hooks in another way works on top of it', async () => {
      const other = copyTo(folder, (name, text) =>
        name === 'register.js' ? text.replace('HOOK_VERSION = 1', 'HOOK_VERSION = 2') : text,
      );
      if (isLong) assert.deepEqual(await forkUnder([REGISTER, other]), [2, 'native']);
      assert.deepEqual(await forkUnder([other, REGISTER]), [2, 'native']);
    });

    it('fork() of another copy works', async () => {
      const copy = path.dirname(copyTo(folder));
      const output = await outputUnder(
        (index, idle) => {
          const child = require(index).fork(idle);
          console.log(child.channel.protocol);
          child.once('message', () => child.disconnect());
        },
        path.join(copy, 'index.js'),
        fixture('idle.js'),
      );
      assert.equal(output, 'native\n');
    });

    it('module registries of a test runner hooks once, and outlives the first of them', async () => {
      const output = await outputOf(
        functionArgs(
          (file, idle) => {
            const vm = require('node:vm');
            const { ChildProcess, fork } = require('node:child_process');
            let isGone = false;
            /** A registry and a `process` of its own, as test runners give each test file. */
            const load = (isFirst) => {
              const cache = new Map();
              const copy = Object.create(Object.getPrototypeOf(process), {
                ...Object.getOwnPropertyDescriptors(process),
              });
              const requireFrom = (from) => {
                const ours = (name) => {
                  if (isFirst && isGone) throw new Error('the registry is gone');
                  const path = require('node:module').createRequire(from).resolve(name);
                  if (!path.startsWith('/') || path.endsWith('.node')) return require(path);
                  if (!cache.has(path)) {
                    const module = { exports: {} };
                    cache.set(path, module);
                    const text = require('node:fs').readFileSync(path, 'utf8');
                    const names = 'module, exports, require, __filename, __dirname, process';
                    const body = vm.runInThisContext(`(function (${names}) { ${text}\n})`);
                    const folder = require('node:path').dirname(path);
                    body(module, module.exports, requireFrom(path), path, folder, copy);
                  }
                  return cache.get(path).exports;
                };
                return Object.assign(ours, { main: {}, cache: {} });
              };
              requireFrom(file)(file);
            };
            load(true);
            const { spawn } = ChildProcess.prototype;
            isGone = true;
            load(false);
            const child = fork(idle);
            console.log(ChildProcess.prototype.spawn === spawn, child.channel.protocol);
            child.once('message', () => child.disconnect());
          },
          [REGISTER, fixture('idle.js')],
        ),
      );
      assert.equal(output, 'true native\n');
    });
  });

  describe("leaves to Node, with Node's errors and in Node's order,", () => {
    /** Calls that Node refuses: for each its error, or what it gave. Runs with and without the hook. */
    const refusals = (script) => {
      const { ChildProcess, execFileSync, fork, spawn, spawnSync } = require('node:child_process');
      const outcome = (action) => {
        try {
          const child = action();
          child?.on?.('error', () => {});
          child?.kill?.('SIGKILL');
          return 'no error';
        } catch ({ name, code, message }) {
          return [name, code, message];
        }
      };
      const ipc = ['ignore', 'ignore', 'ignore', 'ipc'];
      const bare = (options) => () => new ChildProcess().spawn(options);
      const node = process.execPath;
      const calls = [
        () => fork(),
        () => fork(script, 5, { stdio: 'x' }),
        () => fork(script, [], 'x'),
        () => fork(script, [], { stdio: 'x' }),
        () => fork(script, [], { stdio: ['pipe'] }),
        () => fork(script, [], { stdio: ['ipc', 'ipc'] }),
        () => fork(script, [], { stdio: ['ipc', 'ipc'], serialization: 'x' }),
        () => fork(script, [], { stdio: [{}, 'ipc'] }),
        () => fork(script, [], { stdio: [-1, 'ipc'] }),
        () => fork(script, [], { serialization: 'x' }),
        () => fork(script, [], { serialization: 'x', cwd: 5 }),
        () => fork(script, [], { cwd: 5, uid: 'x' }),
        () => fork(script, [], { detached: 'x' }),
        () => fork(script, [], { uid: 'x' }),
        () => fork(script, [], { gid: 2 ** 40 }),
        () => fork(script, [], { execPath: '' }),
        () => fork(script, [], { execPath: 5 }),
        () => fork(script, [], { execArgv: ['\0'] }),
        () => fork(script, [], { env: { 'A\0': 'x' } }),
        () => fork(script, [], { signal: 5 }),
        () => fork(script, [], { timeout: -1 }),
        () => fork(script, [], { killSignal: 'x' }),
        () => spawn('', [], { stdio: ipc }),
        () => spawn(node, 'x', { stdio: ipc }),
        () => spawn(node, [], { stdio: [...ipc, 'ipc'] }),
        () => spawn(node, [], { stdio: [...ipc, 'x'] }),
        () => spawn(node, [], { stdio: ipc, serialization: 'x' }),
        () => spawn(node, [], { serialization: 'x' }),
        () => spawnSync(node, [], { stdio: ipc }),
        () => execFileSync(node, [], { stdio: ipc }),
        bare(),
        bare(null),
        bare(5),
        bare({ stdio: ipc }),
        bare({ file: 5, stdio: ipc }),
        bare({ file: node, args: 'x', stdio: ipc, envPairs: 5 }),
        bare({ file: node, stdio: ipc, envPairs: 5 }),
        bare({ file: node, stdio: ipc, envPairs: 5, serialization: 'x' }),
        bare({ file: node, stdio: 'ipc' }),
        bare({ file: node, stdio: { 0: 'ipc', length: 1 } }),
      ];
      console.log(JSON.stringify(calls.map(outcome)));
      process.exit();
    };

    it('what it refuses', async () => {
      const args = functionArgs(refusals, [fixture('idle.js')]);
      const [stock, ours] = await Promise.all([
        outputOf(args),
        outputOf(['--require', REGISTER, ...args]),
      ]);
      assert.deepEqual(JSON.parse(ours), JSON.parse(stock));
      // Most of them are refused by every version.
      const refused = JSON.parse(stock).filter((outcome) => Array.isArray(outcome));
      assert.ok(refused.length > 30, `${refused.length}`);
    });
  });

  it("uses Node's own channel where addons are forbidden, also later", async () => {
    const { stdout, stderr, code } = await runFunction(
      { nodeArgs: ['--no-addons', '--require', REGISTER], with: [fixture('echo.js')] },
      (echo) => {
        const child = require('node:child_process').fork(echo);
        child.on('message', (message) => {
          console.log(String(child.channel.protocol), message);
          child.disconnect();
        });
        child.send('hello');
      },
    );
    assert.equal(stderr, '');
    assert.equal(stdout, 'undefined hello\n');
    assert.equal(code, 0);
  });

  it("of a process that may load none, children that may take Node's channel over", async () => {
    const { stdout, stderr, code } = await runFunction(
      { nodeArgs: ['--require', REGISTER], with: [REGISTER] },
      (register) => {
        const { fork } = require('node:child_process');
        const grandchild = `
          process.on('message', (message) => {
            process.send([message, String(process.channel.protocol)]);
            process.disconnect();
          });`;
        const child = `
          const child = require('node:child_process').fork('-', {
            execArgv: ['--eval', ${JSON.stringify(grandchild)}],
            env: { ...process.env, NODE_OPTIONS: ${JSON.stringify(`--require ${register}`)} },
          });
          child.on('message', (message) =>
            process.send([...message, String(child.channel.protocol), String(process.channel.protocol)]));
          process.on('message', (message) => child.send(message));
          child.on('close', () => process.disconnect());`;
        const forked = fork('-', { execArgv: ['--no-addons', '--eval', child] });
        forked.on('message', (message) => console.log(forked.channel.protocol, ...message));
        forked.send('hello');
      },
    );
    assert.equal(stderr, '');
    assert.equal(stdout, 'node hello node undefined undefined\n');
    assert.equal(code, 0);
  });

  it("leaves Node's own channel where the addon is missing, with one warning", async () => {
    const env = { ...process.env, FORKWIRE_BINARY: '/nowhere/forkwire.node' };
    const body = async (echo) => {
      const { fork } = require('node:child_process');
      const { once } = require('node:events');
      for (const child of [fork(echo), fork(echo)]) {
        child.send('hello');
        console.log(child.channel.protocol, ...(await once(child, 'message')));
        console.log(child.channel.protocolReason);
        child.disconnect();
      }
    };
    for (const option of some(['--require', '--import'], 0)) {
      const args = [option, REGISTER, ...functionArgs(body, [fixture('echo.js')])];
      const { stdout, stderr, code } = await run(process.execPath, args, { env });
      const [first, reason] = stdout.split('\n');
      assert.equal(first, 'undefined hello undefined');
      assert.match(reason, /tried \/nowhere\/forkwire\.node\. FORKWIRE_BINARY names it/);
      assert.equal(stdout, `${first}\n${reason}\n`.repeat(2));
      const warnings = stderr.match(/\[ERR_FORKWIRE_NO_BINARY\] ForkwireWarning: Node's own/g);
      assert.equal(warnings?.length, 1, stderr);
      assert.equal(code, 0);
    }
  });

  it('throws where the addon is missing and the program itself asks for it', async () => {
    const env = { ...process.env, FORKWIRE_BINARY: '/nowhere/forkwire.node' };
    const body = (register) => {
      try {
        require(register);
      } catch ({ code }) {
        console.log(code);
      }
    };
    assert.equal(
      await outputOf(functionArgs(body, [REGISTER]), { env }),
      'ERR_FORKWIRE_NO_BINARY\n',
    );
  });

  it('survives Workers that fork and are terminated at random moments', async () => {
    const { code, signal, stderr } = await runFunction(
      { nodeArgs: ['--require', REGISTER], with: [fixture('echo.js'), isLong ? 12 : 5] },
      async (echo, rounds) => {
        const { Worker } = require('node:worker_threads');
        const { startedProcesses } = require('../helpers/processes');
        const { until } = require('../helpers/until');
        const code = `
          const { fork } = require('node:child_process');
          const child = fork(${JSON.stringify(echo)});
          child.on('message', (message) => child.send(message));
          child.send('x'.repeat(1000));`;
        for (let i = 0; i < rounds; i++) {
          const worker = new Worker(code, { eval: true });
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
          await worker.terminate();
        }
        // Their children see the end of the channel; what is left is reaped with this process.
        await until(() => startedProcesses().every(({ state }) => state === 'Z'));
      },
    );
    assert.equal(stderr, '');
    assert.deepEqual([code, signal], [0, null]);
  });
});
