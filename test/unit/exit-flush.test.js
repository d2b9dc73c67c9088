'use strict';

const assert = require('node:assert/strict');
const { runFunction } = require('../helpers/run');

describe('flushAtExit()', () => {
  /** The calls of the flush in a process that ends with `end`. */
  async function flushesOf(end, options = {}) {
    const { stdout } = await runFunction({ ...options, with: [end.toString()] }, (source) => {
      const { processGroup } = require('../../lib/binding');
      const { flushAtExit } = require('../../lib/exit-flush');
      const { writeSync } = require('node:fs');
      flushAtExit((isFinal) => writeSync(1, isFinal ? 'final ' : 'not yet '), processGroup);
      flushAtExit(() => writeSync(1, 'twice '));
      require('node:vm').runInThisContext(`(${source})`)();
    });
    return stdout.trim();
  }

  const finals = {
    'the end of the script': () => {},
    'process.exit()': () => process.exit(),
    'an uncaught error': () => {
      throw new Error('the end');
    },
    'process.reallyExit()': () => process.reallyExit(),
    'process.abort()': () => process.abort(),
  };
  for (const [how, end] of Object.entries(finals)) {
    it(`flushes before ${how}`, async () => {
      assert.match(await flushesOf(end), /^final( final)?$/);
    });
  }

  it('flushes before a signal to itself that will end the process', async () => {
    assert.equal(await flushesOf(() => process.kill(process.pid)), 'not yet');
    assert.equal(await flushesOf(() => process.kill(process.pid, 'SIGKILL')), 'not yet');
    assert.equal(await flushesOf(() => process.kill(process.pid, 9)), 'not yet');
  });

  it('flushes before a signal to its process group', async () => {
    const inGroupOfItsOwn = { detached: true };
    assert.equal(await flushesOf(() => process.kill(0), inGroupOfItsOwn), 'not yet');
    assert.equal(await flushesOf(() => process.kill(-process.pid), inGroupOfItsOwn), 'not yet');
  });

  it('does not flush for signals that end nothing, here', async () => {
    const harmless = [
      () => process.kill(process.pid, 0),
      () => process.kill(process.pid, 'SIGWINCH'),
      () => process.kill(-process.pid, 0), // no group, or its own and no signal
      () => {
        process.once('SIGTERM', () => {});
        process.kill(process.pid, 'SIGTERM');
        setTimeout(() => {}, 1);
      },
    ];
    for (const end of harmless) assert.equal(await flushesOf(end), 'final');
  });

  it('leaves name, arguments, results and errors of what it wraps as they were', async () => {
    const { stdout } = await runFunction(() => {
      require('../../lib/exit-flush').flushAtExit(
        () => {},
        () => 0,
      );
      const seen = [process.kill.name, process.abort.name, process.kill(process.pid, 0)];
      for (const args of [['x'], [process.pid, 'SIGNOTHING']]) {
        try {
          process.kill(...args);
        } catch (error) {
          seen.push(error.code);
        }
      }
      console.log(JSON.stringify(seen));
    });
    const expected = ['kill', 'abort', true, 'ERR_INVALID_ARG_TYPE', 'ERR_UNKNOWN_SIGNAL'];
    assert.deepEqual(JSON.parse(stdout), expected);
  });
});
