'use strict';

// The parent of a cell. Runs the scenarios one after the other and prints what became of each, a JSON object a line.
// argv[2]: { parent: 'forkwire' | 'stock', child: { node, script, args, isForkwire }, wire, serialization, kinds, protocols }

const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const { once } = require('node:events');
const { descriptorsOf, newDescriptors } = require('../helpers/descriptors');
const { until } = require('../helpers/until');
const { kinds } = require('./kinds');

const LIMIT_MS = 30_000;

const cell = JSON.parse(process.argv[2]);
const isForkwireParent = cell.parent === 'forkwire';
const { fork } = isForkwireParent ? require('../..') : childProcess;

const scenarios = ['messages', 'handles', 'burst', 'ends'].flatMap((name) =>
  require(`./scenarios/${name}`),
);

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** A child, with what a scenario does to it. Messages that nobody waits for are kept for the next who does. */
class Peer {
  #unread = [];
  #reader = null;

  constructor() {
    const { node, script, args, execArgv } = cell.child;
    const { wire: channel, serialization } = cell;
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
    const options = { execPath: node, execArgv, serialization, stdio };
    if (isForkwireParent) options.channel = channel;
    this.child = fork(script, args, options);
    this.child.on('message', (...got) => {
      this.#unread.push(got);
      this.#reader?.();
    });
  }

  nextWithHandle = async () => {
    while (this.#unread.length === 0) {
      await new Promise((resolve) => {
        this.#reader = resolve;
      });
    }
    return this.#unread.shift();
  };

  next = async () => (await this.nextWithHandle())[0];

  ask = (...args) => {
    this.child.send(...args);
    return this.next();
  };

  askForHandle = (message) => {
    this.child.send(message);
    return this.nextWithHandle();
  };
}

const about = { ...cell, isForkwireParent, isForkwireChild: cell.child.isForkwire };

let noted = ''; // what a scenario was about to do

const context = (peer) => ({
  ...about,
  kinds: cell.kinds.filter((kind) => kinds[kind] !== undefined),
  child: peer.child,
  ask: peer.ask,
  askForHandle: peer.askForHandle,
  next: peer.next,
  start: async () => context(new Peer()),
  note(text) {
    noted = text;
  },
});

async function checkProtocols(peer) {
  const { protocol } = await peer.ask({ do: 'about' });
  assert.deepEqual([peer.child.channel.protocol ?? null, protocol ?? null], cell.protocols);
}

function withLimit(promise) {
  let timer;
  const limit = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('it took too long')), LIMIT_MS);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

async function runScenario({ name, unless, run }, peer) {
  const reason = unless?.(about);
  if (reason) {
    print({ scenario: name, skipped: reason });
    return;
  }
  noted = '';
  try {
    await withLimit(run(context(peer)));
    print({ scenario: name });
  } catch (error) {
    print({ scenario: name, error: `${noted} ${error.stack}` });
  }
}

async function checkDescriptors(before) {
  const added = () => newDescriptors(before, descriptorsOf());
  await until(() => added().length === 0, 'no descriptor is left').catch(() => {
    throw new Error(`left open: ${added()}`);
  });
}

/** This process ends with much to say; what of it arrives, and the end, the child prints. */
async function exitWithMuch() {
  const { child, ask } = new Peer();
  await ask({ do: 'witness' });
  for (let i = 0; i < 100; i++) child.send(i);
  child.send('x'.repeat(300_000));
  process.exit(3);
}

async function main() {
  const first = new Peer();
  await runScenario({ name: 'protocol', run: () => checkProtocols(first) }, first);
  const before = descriptorsOf();
  for (const scenario of scenarios) await runScenario(scenario, first);
  await runScenario({ name: 'descriptors', run: () => checkDescriptors(before) }, first);
  first.child.disconnect();
  await once(first.child, 'exit');
  await exitWithMuch();
}

main();
