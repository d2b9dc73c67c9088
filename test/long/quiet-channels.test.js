'use strict';

// One channel that is flooded beside fifty quiet ones: how long a question on these takes. It needs a machine that does
// nothing else.

const assert = require('node:assert/strict');
const { setTimeout: wait } = require('node:timers/promises');
const { exited, nextMessage } = require('../helpers/events');
const { forkFunction } = require('../helpers/fork-fixture');

const QUIET = 50;
const ROUNDS = 5;
const ROUND_MS = 2000;

function answer() {
  process.on('message', (message) => process.send(message));
}

/** Sends as much as it may between 'on' and 'off'. */
function flood() {
  const message = { id: 1, type: 'update', name: 'sensor-17', value: 21.5 };
  let isOn = false;
  const sendMore = () => {
    let hasRoom = isOn;
    for (let i = 0; i < 200 && hasRoom; i++) hasRoom = process.send(message);
    if (!isOn) return;
    if (hasRoom) setImmediate(sendMore);
    else process.once('drain', sendMore);
  };
  process.on('message', (word) => {
    isOn = word === 'on';
    sendMore();
  });
}

async function ask(child) {
  const start = performance.now();
  child.send('?');
  await nextMessage(child);
  return performance.now() - start;
}

/** The 99th percentile, in ms, of questions one by one, each to the next child. */
async function p99(children) {
  const times = [];
  const end = performance.now() + ROUND_MS;
  for (let i = 0; performance.now() < end; i++) {
    times.push(await ask(children[i % children.length]));
    await wait(1);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)];
}

describe(`${QUIET} quiet channels beside one that is flooded`, () => {
  it('have a p99 that is at most twice what it is without the flood', async function () {
    this.timeout(120_000);
    const quiet = Array.from({ length: QUIET }, () => forkFunction(answer));
    const noisy = forkFunction(flood);
    let received = 0;
    noisy.on('message', () => received++);
    for (const child of quiet) await ask(child);
    const ratios = [];
    for (let i = 0; i < ROUNDS; i++) {
      const without = await p99(quiet);
      noisy.send('on');
      await wait(200);
      const before = received;
      const beside = await p99(quiet);
      assert.ok(received - before > 10_000, `${received - before} messages are no flood`);
      noisy.send('off');
      await wait(200);
      ratios.push(beside / without);
    }
    ratios.sort((a, b) => a - b);
    const text = ratios.map((ratio) => ratio.toFixed(2)).join(', ');
    console.log(`      p99 with the flood to p99 without: ${text}`);
    for (const child of [...quiet, noisy]) {
      child.disconnect();
      await exited(child);
    }
    assert.ok(ratios[ROUNDS >> 1] <= 2, text);
  });
});
