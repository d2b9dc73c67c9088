'use strict';

// jest's fake timers, both kinds: what the test's own children send comes though no tick and no timer of the test runs.

const { fork } = require('node:child_process');
const path = require('node:path');
const { jest: clock } = require('@jest/globals');
const { checkWire } = require('../../wire');

const CHILD = path.join(__dirname, '../child.js');

afterEach(() => clock.useRealTimers());

for (const options of [{}, { doNotFake: ['nextTick'] }, { legacyFakeTimers: true }]) {
  test(`messages and exit with ${JSON.stringify(options)}`, async () => {
    const isStock = !process.env.FORKWIRE_EXPECTED;
    // Stock's messages wait for the ticks that jest holds.
    if (isStock && !options.doNotFake) return;
    clock.useFakeTimers(options);
    const child = fork(CHILD, [], { execArgv: [] });
    checkWire(child.channel);
    const messages = [];
    const over = new Promise((resolve) => child.once('exit', resolve));
    child.on('message', ({ i }) => {
      messages.push(i);
      if (i === 19) child.disconnect();
    });
    for (let i = 0; i < 20; i++) child.send({ i });
    expect(await over).toBe(0);
    expect(messages).toEqual(Array.from({ length: 20 }, (_, i) => i));
  }, 60_000);
}
