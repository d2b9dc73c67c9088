'use strict';

// A channel begins as a CoreChannel, and the whole Channel takes over from it at any moment. Random programs run on both kinds
// from the start, and on the one that changes in between: nobody may see a difference.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { setImmediate: turn } = require('node:timers/promises');
const { channelPair } = require('../helpers/channel-pair');
const { DEFAULTS } = require('../../lib/limits');

const PROGRAMS = 40;
const STEPS = 30;

/** Park and Miller's generator: numbers from 0 to below `count`. */
function generator(seed) {
  let state = seed;
  return (count) => {
    state = (state * 48271) % 0x7fffffff;
    return state % count;
  };
}

const MESSAGES = [
  (i) => ({ i }),
  (i) => i,
  (i) => `text ${i}`,
  (i) => `${i} ${'long'.repeat(400)}`,
  (i) => ({ i, text: 'é'.repeat(300) }),
  (i) => ({ i, said: '"cmd":"NODE_' }),
  (i) => ({ cmd: 'work', i }),
  (i) => [i, { cmd: 'NODE_' }],
  (i) => ({ toJSON: () => ({ i, made: true }) }),
  (i) => ({ i, large: 'x'.repeat(70_000) }),
  () => null,
];

/** What a program does to one end, by a number. */
const ACTIONS = {
  send: (end, i, random) => end.send(MESSAGES[random(MESSAGES.length)](i)),
  sendMany: (end, i, random) => {
    for (let j = random(20); j >= 0; j--) end.send({ i, j });
  },
  sendWithCallback: (end, i, random) =>
    end.send(MESSAGES[random(MESSAGES.length)](i), (error) => end.log.callbacks.push([i, error])),
  sendInternal: (end, i) => end.send({ cmd: 'NODE_OF_A_TEST', i }),
  sendEmpty: (end) => {
    assert.throws(() => end.send({ toJSON() {} }), { code: 'ERR_FORKWIRE_EMPTY_MESSAGE' });
  },
  sendHandle: (end, i) => {
    const server = net.createServer();
    server.listen(0, '127.0.0.1');
    end.send({ i, has: 'handle' }, server);
    server.close();
  },
  stopListening: (end) => end.removeAllListeners('message'),
  listen: (end) => listen(end),
  /** What sets it off depends on the time: only that it comes is certain. */
  sendInListener: (end, i) => end.once('message', () => end.send({ i, inListener: true })),
  /** Messages of the same read may still have their ticks to come. */
  takeOverInListener: (end, i) =>
    end.once('message', () => end.send({ cmd: 'NODE_IN_LISTENER', i })),
  throwInToJson: (end, i) => {
    const message = {
      toJSON() {
        throw new Error(`of ${i}`);
      },
    };
    assert.throws(() => end.send(message), { message: `of ${i}` });
  },
};

function listen(end) {
  if (end.listenerCount('message') > 0) return;
  end.on('message', (message, handle) => {
    if (message?.inListener) end.log.fromListeners.add(message.i);
    else end.log.messages.push(message);
    handle?.close();
  });
}

/** A server that was sent is closed here, and may be there by now. */
async function run(seed, kinds, names) {
  const random = generator(seed);
  const ends = channelPair(kinds).map(({ target }) => target);
  for (const end of ends) {
    end.pid = process.pid; // the peer's, as of a ChildProcess: a HELLO of any other is unusual
    end.log = { messages: [], fromListeners: new Set(), internal: [], callbacks: [], ends: [] };
    end.on('internalMessage', (message) => {
      if (message.cmd === 'NODE_OF_A_TEST') end.log.internal.push(message);
    });
    end.on('disconnect', () => end.log.ends.push('disconnect'));
    listen(end);
  }
  for (let i = 0; i < STEPS; i++) {
    const end = ends[random(2)];
    ACTIONS[names[random(names.length)]](end, i, random);
    if (random(3) === 0) await turn();
  }
  for (const end of ends) listen(end);
  await allArrived(ends);
  const isOver = ends.map((end) => once(end, 'disconnect'));
  ends[random(2)].disconnect();
  await Promise.all(isOver);
  return ends.map(({ log }) => log);
}

/** Each end gets a last message, and its answer. */
async function allArrived(ends) {
  const last = ends.map((end, i) => {
    const isLast = (message) => message?.lastOf === 1 - i;
    return new Promise((resolve) => {
      if (end.log.messages.some(isLast)) resolve();
      end.on('message', (message) => isLast(message) && resolve());
    });
  });
  for (const [i, end] of ends.entries()) end.send({ lastOf: i });
  await Promise.all(last);
}

const WHOLE = { limits: DEFAULTS };

describe('a channel that the whole Channel takes over', () => {
  const usual = ['send', 'sendMany', 'sendWithCallback', 'sendInListener', 'throwInToJson'];
  const late = ['sendMany', 'takeOverInListener'];
  const all = Object.keys(ACTIONS).filter((name) => !/InListener$/.test(name)); // nobody may listen
  const kindsOfActions = {
    'what is usual': usual,
    'more in a listener': late,
    'all that there is': all,
  };
  for (const [what, names] of Object.entries(kindsOfActions)) {
    it(`is no other one to programs that do ${what}`, async () => {
      for (let n = 1; n <= PROGRAMS; n++) {
        const seed = n * 7919;
        const expected = await run(seed, [WHOLE, WHOLE], names);
        const kinds = [[], [{}, WHOLE], [WHOLE, {}]][n % 3];
        assert.deepEqual(await run(seed, kinds, names), expected, `seed ${seed}`);
      }
    });
  }

  it('calls back for no message that is not written, after those that were', async () => {
    const [left, right] = channelPair().map(({ target }) => target);
    left.pid = process.pid;
    for (let i = 0; i < 5; i++) left.send(i);
    await turn();
    let isCalled = false;
    const called = new Promise((resolve) => {
      left.send('x'.repeat(8 << 20), () => {
        isCalled = true;
        resolve();
      });
    });
    await null;
    await new Promise(process.nextTick);
    assert.equal(isCalled, false);
    right.on('message', () => {});
    await called;
    const isOver = once(right, 'disconnect');
    left.disconnect();
    await isOver;
  });
});
