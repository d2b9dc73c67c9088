'use strict';

// sinon's fake timers, in a parent and in its child: messages, 'disconnect' and 'exit' do not wait for a clock that is held.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const sinon = require('sinon');
const { checkWire } = require('./wire');

const realTimeout = setTimeout;
const FAKE = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'Date',
  'hrtime',
  'performance',
  'queueMicrotask',
];

function child() {
  const clock = sinon.useFakeTimers({ toFake: FAKE });
  process.on('message', (message) => {
    if (message === 'go') setTimeout(() => process.send('a minute later'), 60_000);
    else if (message === 'tick') clock.tick(60_000);
    else process.send({ message, now: Date.now() });
  });
}

async function parent() {
  const clock = sinon.useFakeTimers({ now: 1000, toFake: FAKE });
  const started = fork(__filename, ['child']);
  checkWire(started.channel);
  const seen = [];
  const over = new Promise((resolve) => {
    for (const name of ['disconnect', 'exit', 'close']) started.on(name, () => seen.push(name));
    started.on('exit', () => realTimeout(resolve, 20));
    started.on('message', (message) => {
      seen.push(message);
      if (message === 'a minute later') started.disconnect();
    });
  });
  const sent = new Promise((resolve) => started.send('first', resolve));
  assert.equal(await sent, null);
  for (let i = 0; i < 50; i++) started.send(i);
  started.send('go');
  started.send('tick');
  await over;
  assert.equal(Date.now(), 1000);
  clock.restore();
  console.log(JSON.stringify(seen.filter((name) => name !== 'close'))); // stock leaves that out here
  console.log('all passed');
}

if (process.argv[2] === 'child') child();
else parent();
