'use strict';

const assert = require('node:assert/strict');
const { runBoth } = require('../helpers/both');
const { some } = require('../helpers/scale');

// What send() accepted leaves though the loop does not turn any more: because JavaScript waits, or because the process dies
// without running any.

/** Prints how many messages came of a child that sends `count` and then ends, or stops, in the way `how`. */
function receive(count, how, execArgv) {
  const { fork } = require('node:child_process');
  const child = fork(
    process.argv[1],
    [
      ((number, way) => {
        for (let i = 0; i < number; i++) process.send({ i });
        if (way === 'an uncaught exception that aborts') throw new Error('the end');
        if (way === 'SIGSTOP') process.kill(process.pid, 'SIGSTOP');
        if (way === 'process.execve()') process.execve('/bin/true', ['true'], {});
        if (way === 'SIGKILL from outside') {
          require('node:child_process').spawnSync('kill', ['-9', String(process.pid)]);
        }
        if (way === 'Atomics.wait()') {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        }
        if (way === 'out of memory') {
          const kept = [];
          for (;;) kept.push(new Array(100_000).fill({}));
        }
      }).toString(),
      JSON.stringify([count, how]),
    ],
    { execArgv, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
  );
  let received = 0;
  const end = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.on('message', () => {
    received++;
    if (received < count || !['SIGSTOP', 'Atomics.wait()'].includes(how)) return;
    clearTimeout(end);
    child.kill('SIGKILL');
  });
  child.on('close', () => {
    clearTimeout(end);
    console.log(received);
  });
}

describe('what a child sent before it dies or stops without JavaScript', () => {
  const hasExecve = typeof process.execve === 'function';
  const cases = [
    ['Atomics.wait()', [5, 200]],
    ['SIGSTOP', [5, 200]],
    ['SIGKILL from outside', [5, 200]],
    ['out of memory', [5, 200], ['--max-old-space-size=20']],
    ['an uncaught exception that aborts', [1, 5, 16], ['--abort-on-uncaught-exception']],
    ...(hasExecve ? [['process.execve()', [5, 200]]] : []),
  ];
  for (const [how, counts, execArgv = []] of cases) {
    for (const count of some(counts, -1)) {
      it(`arrives: ${count} messages and ${how}`, async () => {
        const { stock, ours } = await runBoth(receive, [count, how, execArgv]);
        assert.deepEqual(ours, { ...stock, pid: ours.pid });
        assert.equal(ours.stdout, `${count}\n`);
      });
    }
  }
});

describe('a parent that waits for what its child does with its messages', () => {
  /** Its loop does not turn before the child has written down that the last one came. */
  function waitForEffect(count) {
    const { fork, spawnSync } = require('node:child_process');
    const { existsSync, mkdtempSync, rmSync } = require('node:fs');
    const folder = mkdtempSync(`${require('node:os').tmpdir()}/forkwire-`);
    const child = fork(process.argv[1], [
      ((number, name) => {
        process.on('message', ({ i }) => {
          if (i === number - 1) require('node:fs').writeFileSync(name, '');
        });
      }).toString(),
      JSON.stringify([count, `${folder}/last`]),
    ]);
    child.once('spawn', () => {
      for (let i = 0; i < count; i++) child.send({ i });
      const end = Date.now() + 30_000;
      while (!existsSync(`${folder}/last`) && Date.now() < end) spawnSync('sleep', ['0.05']);
      console.log(existsSync(`${folder}/last`));
      rmSync(folder, { recursive: true });
      child.disconnect();
    });
  }

  for (const count of some([1, 5, 17, 200], 0, -1)) {
    it(`sees it, without a turn of its loop: ${count} messages`, async () => {
      const { stock, ours } = await runBoth(waitForEffect, [count]);
      assert.deepEqual(ours, { ...stock, pid: ours.pid });
      assert.equal(ours.stdout, 'true\n');
    });
  }
});

describe('process.getActiveResourcesInfo()', () => {
  /** Prints whether it names a pipe: in a parent and a child, with the channel open and behind its end. */
  function look() {
    const { fork } = require('node:child_process');
    const print = (values) => require('node:fs').writeSync(1, `${values.join()}\n`);
    const child = fork(process.argv[1], [
      (() => {
        const hasPipe = () => process.getActiveResourcesInfo().includes('PipeWrap');
        const seen = [hasPipe()];
        process.on('message', () => process.send([...seen, hasPipe()]));
      }).toString(),
      '[]',
    ]);
    const own = () =>
      process
        .getActiveResourcesInfo()
        .filter((name) => name !== 'Timeout')
        .sort();
    print(own());
    child.send('look');
    child.on('message', (seen) => {
      print(seen);
      child.disconnect();
    });
    child.on('exit', () => setTimeout(() => print(own()), 20));
  }

  it('shows a channel that holds the process, and nothing of it after its end', async () => {
    const { stock, ours } = await runBoth(look);
    assert.deepEqual(ours, { ...stock, pid: ours.pid });
    assert.match(ours.stdout, /^PipeWrap,ProcessWrap\nfalse,true\n\n$/);
  });
});
