'use strict';

// Next reads NODE_OPTIONS, changes it and gives it to the processes it starts; Nuxt and others set it for themselves. What
// forkwire needs in it has to survive, and nothing of it may be seen.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { once } = require('node:events');
const next = require('next/dist/server/lib/utils');
const { checkWire } = require('./wire');

async function ask(options) {
  const child = fork(__filename, ['child'], options);
  checkWire(child.channel);
  child.send('hello');
  const [answer] = await once(child, 'message');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  return answer;
}

function child() {
  process.on('message', (message) => {
    checkWire(process.channel);
    const seen = next.getFormattedNodeOptionsWithoutInspect();
    const isSmall = require('node:v8').getHeapStatistics().heap_size_limit < 500 * 2 ** 20;
    process.send({ message, seen, isSmall, argv: process.execArgv }, () => process.disconnect());
  });
}

async function main() {
  const usual = next.getParsedNodeOptionsWithoutInspect();
  const { nodeOptions: merged } = next.formatNodeOptions({ ...usual, 'max-old-space-size': '300' });
  const all = [
    { env: { ...process.env, NODE_OPTIONS: merged } },
    { env: { ...process.env, NODE_OPTIONS: `--no-warnings ${process.env.NODE_OPTIONS ?? ''}` } },
    { env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=300 --enable-source-maps' } },
    { env: { ...process.env, NODE_OPTIONS: '' } },
    { env: {}, execArgv: [] },
    {
      env: { PATH: process.env.PATH, NODE_OPTIONS: '--stack-trace-limit=50' },
      execArgv: ['--no-deprecation'],
    },
  ];
  const answers = [];
  for (const { env, ...options } of all) {
    const given = { ...env, ...(process.env.FORKWIRE_EXPECTED && { FORKWIRE_EXPECTED: 'native' }) };
    answers.push(await ask({ ...options, env: given }));
  }
  // A program that sets its own for all that follow.
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --max-old-space-size=300`.trim();
  answers.push(await ask({}));
  // Without what the runner itself put there, in either spelling.
  const own = (process.env.RUNNER_OPTIONS ?? '').split(' ').join('[= ]');
  const clean = (text) => text.replace(new RegExp(own), '').replace(/\s+/g, ' ').trim();
  for (const answer of answers)
    console.log(JSON.stringify({ ...answer, seen: clean(answer.seen) }));
  console.log('all passed');
}

if (process.argv[2] === 'child') child();
else main();
