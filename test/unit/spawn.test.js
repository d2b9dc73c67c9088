'use strict';

const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const { once } = require('node:events');
const { withOwnSpawn } = require('../../lib/spawn');
const { fixture } = require('../helpers/fork-fixture');

const { ChildProcess } = childProcess;
const IDLE = fixture('idle.js');

describe('withOwnSpawn()', () => {
  const original = ChildProcess.prototype.spawn;

  afterEach(() => {
    assert.equal(ChildProcess.prototype.spawn, original);
  });

  async function end(child) {
    child.disconnect();
    await once(child, 'exit');
  }

  it('gives a channel of ours to the one child that is started in it', async () => {
    const [first, second] = withOwnSpawn(() => [childProcess.fork(IDLE), childProcess.fork(IDLE)]);
    const third = childProcess.fork(IDLE);
    assert.equal(first.channel.protocol, 'native');
    assert.equal(second.channel.protocol, undefined);
    assert.equal(third.channel.protocol, undefined);
    await Promise.all([first, second, third].map(end));
  });

  it('restores the prototype when nothing is started, and when something throws', () => {
    assert.equal(
      withOwnSpawn(() => 'result'),
      'result',
    );
    assert.throws(
      () =>
        withOwnSpawn(() => {
          throw new RangeError('own');
        }),
      RangeError,
    );
    assert.throws(() => withOwnSpawn(() => childProcess.fork(5)), TypeError);
  });

  it("leaves to Node what it has to refuse, with Node's errors", () => {
    const spawnWith = (options) =>
      withOwnSpawn(() => new ChildProcess().spawn({ file: process.execPath, ...options }));
    const ipc = ['ignore', 'ignore', 'ignore', 'ipc'];
    const refused = [
      [{ file: 5, stdio: ipc }, 'ERR_INVALID_ARG_TYPE'],
      [{ args: 'x', stdio: ipc }, 'ERR_INVALID_ARG_TYPE'],
      [{ envPairs: {}, stdio: ipc }, 'ERR_INVALID_ARG_TYPE'],
      [{ envPairs: [], stdio: [...ipc, 'ipc'] }, 'ERR_IPC_ONE_PIPE'],
      [{ envPairs: [], stdio: ipc, serialization: 'xml' }, 'ERR_INVALID_ARG_VALUE'],
    ];
    for (const [options, code] of refused) assert.throws(() => spawnWith(options), { code });
    for (const options of [null, undefined, 5]) {
      assert.throws(() => withOwnSpawn(() => new ChildProcess().spawn(options)), {
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  it('leaves no descriptor behind when an option of ours is refused', () => {
    const fork = (options) => withOwnSpawn(() => childProcess.fork(IDLE, [], options));
    assert.throws(() => fork({ exitFlush: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => fork({ exitFlush: { stall: -1 } }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => fork({ channel: 'other' }), { code: 'ERR_INVALID_ARG_VALUE' });
    // test/helpers/hooks.js looks.
  });

  it('leaves no descriptor behind when the program does not exist', async () => {
    const child = withOwnSpawn(() =>
      childProcess.fork(IDLE, [], { execPath: '/nowhere', channel: 'native' }),
    );
    const [error] = await once(child, 'error');
    assert.equal(error.code, 'ENOENT');
    await once(child, 'disconnect');
  });

  it('leaves neither a child nor a descriptor behind when no channel can be made', async () => {
    const child = new ChildProcess();
    const exited = once(child, 'exit');
    child.on = () => {
      throw new RangeError('own');
    };
    const stdio = ['ignore', 'ignore', 'ignore', 'ipc'];
    const options = { file: process.execPath, args: ['node', IDLE], envPairs: [], stdio };
    assert.throws(() => withOwnSpawn(() => child.spawn(options)), RangeError);
    assert.deepEqual(await exited, [null, 'SIGKILL']);
    // test/helpers/hooks.js looks.
  });
});
