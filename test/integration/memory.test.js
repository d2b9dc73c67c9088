'use strict';

// What a peer's messages cost in memory, and that it comes back.

const assert = require('node:assert/strict');
const { nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');
const { assertGrowth, collectGarbage } = require('../helpers/memory');
const { runFunction } = require('../helpers/run');
const { isLong, some } = require('../helpers/scale');
const { itIsBetter } = require('../helpers/subject');
const { until } = require('../helpers/until');

const MIB = 1024 * 1024;
const JSON_GROWTH = 40; // as SECURITY.md and docs/api.md say

/** JSON texts of that many bytes whose values take as much memory as there is. */
function densest(size) {
  const depth = 500;
  const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const repeat = (text) => `[${Array(Math.floor(size / (text.length + 1))).fill(text)}]`;
  return ['{}', '[]', '[[]]', '{"a":{}}', '0', '0.5', '""', nested].map(repeat);
}

describe('a JSON text', () => {
  it('becomes at most 40 times as many bytes of values', async () => {
    function measure(makeTexts, size) {
      // biome-ignore lint/security/noGlobalEval: the test's own function
      const texts = globalThis.eval(`(${makeTexts})`)(size);
      const growths = texts.map((text) => {
        globalThis.gc();
        const before = process.memoryUsage().heapUsed;
        const value = JSON.parse(text);
        globalThis.gc();
        const growth = (process.memoryUsage().heapUsed - before) / text.length;
        return value.length > 0 ? growth : 0;
      });
      console.log(Math.max(...growths));
    }
    const size = isLong ? MIB : MIB / 4;
    const options = { with: [densest.toString(), size], nodeArgs: ['--expose-gc'] };
    const { stdout, stderr } = await runFunction(options, measure);
    assert.equal(stderr, '');
    assert.ok(Number(stdout) > 10 && Number(stdout) < JSON_GROWTH, stdout);
  });
});

describe('a child that is not trusted', () => {
  itIsBetter('does not fill a small heap, whether its messages are taken or not', async () => {
    function parent(subject, makeTexts, size, isTwice) {
      const { fork } = require(subject);
      // biome-ignore lint/security/noGlobalEval: the test's own function
      const all = globalThis.eval(`(${makeTexts})`)(size);
      const texts = isTwice ? [...all, ...all] : all;
      if (process.send) {
        for (const text of texts) process.send(JSON.parse(text));
        return;
      }
      const child = fork(process.argv[1], process.argv.slice(2), { untrusted: true, execArgv: [] });
      let count = 0;
      setTimeout(() => {
        child.on('message', () => count++);
        child.on('disconnect', () => console.log(count));
      }, 500);
    }
    const size = MIB - 1000;
    const options = { with: [require.resolve('../..'), densest.toString(), size, isLong] };
    const nodeArgs = ['--max-old-space-size=200'];
    const { code, stdout, stderr } = await runFunction({ ...options, nodeArgs }, parent);
    assert.deepEqual(
      { code, stdout: stdout.trim(), stderr },
      { code: 0, stdout: String(isLong ? 16 : 8), stderr: '' },
    );
  });
});

describe('the memory of a message of 60 MB', () => {
  for (const channel of some(['native', 'node'], 0)) {
    itIsBetter(`comes back once nobody has the message (${channel})`, () =>
      assertReturned(channel),
    );
  }

  async function assertReturned(channel) {
    const child = forkFunction({ channel }, () => {
      process.on('message', (size) => process.send('x'.repeat(size)));
    });
    child.send(1);
    await nextMessage(child);
    collectGarbage();
    const before = process.memoryUsage.rss();
    child.send(60_000_000);
    assert.equal((await nextMessage(child)).length, 60_000_000);
    child.send(2);
    assert.equal(await nextMessage(child), 'xx');
    let growth = 0;
    const hasShrunk = () => {
      collectGarbage();
      growth = process.memoryUsage.rss() - before;
      return growth < 32 * MIB;
    };
    await until(hasShrunk, 'it shrinks', 5000).catch(() => assertGrowth(growth, 32 * MIB));
    child.disconnect();
  }
});

describe('the addon', () => {
  itIsBetter('stays loaded when the last Worker that used it ends', async () => {
    function useInWorker(subject) {
      const fs = require('node:fs');
      const { Worker } = require('node:worker_threads');
      const worker = new Worker(
        `require(${JSON.stringify(subject)}).fork(${JSON.stringify(__filename)}).kill()`,
        { eval: true },
      );
      worker.on('exit', () => {
        console.log(fs.readFileSync('/proc/self/maps', 'utf8').includes('forkwire.node'));
      });
    }
    const body = useInWorker.toString().replace('__filename', "'/dev/null'");
    const options = { with: [require.resolve('../..')] };
    const { stdout, stderr } = await runFunction(options, body);
    assert.deepEqual({ stdout: stdout.trim(), stderr }, { stdout: 'true', stderr: '' });
  });
});
