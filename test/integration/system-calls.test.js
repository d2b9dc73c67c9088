'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { functionArgs, run } = require('../helpers/run');
const { isStock } = require('../helpers/subject');

const CALLS = 'read,write,readv,writev,sendmsg,recvmsg,epoll_wait,epoll_pwait';

/** The child ends the conversation when it has all messages, so that both ends read and write all of them. */
function burst(count) {
  const { forkFunction } = require('../helpers/fork-fixture');
  const child = forkFunction({ with: [count] }, (expected) => {
    let received = 0;
    process.on('message', (message) => {
      if (message === 'last') process.exit(received === expected ? 0 : 1);
      received++;
    });
  });
  child.once('spawn', () => {
    for (let i = 0; i < count; i++) child.send({ i, text: 'small' });
    child.send('last');
  });
  child.on('exit', (code) => {
    process.exitCode = code;
  });
}

async function callsOf(count, folder) {
  const file = path.join(folder, 'trace');
  const args = ['-f', '-qq', '-o', file, '-e', `trace=${CALLS}`];
  const { code } = await run('strace', [
    ...args,
    process.execPath,
    ...functionArgs(burst, [count]),
  ]);
  assert.equal(code, 0);
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => /^\d+ +\w+\(/.test(line)).length;
}

describe('the system calls of both processes', () => {
  let folder;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-'));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it('are less than 100 more for 1000 small messages in a burst', async function () {
    this.timeout(60_000);
    if (isStock) this.skip();
    if (spawnSync('strace', ['-V']).error) {
      this.test.title += ' (not tested: strace is not installed)';
      this.skip();
    }
    const without = await callsOf(0, folder);
    const withMessages = await callsOf(1000, folder);
    assert.ok(
      withMessages - without < 100,
      `${withMessages} - ${without} = ${withMessages - without}`,
    );
  });
});
