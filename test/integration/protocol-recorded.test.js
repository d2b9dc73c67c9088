'use strict';

// What version 1 said, recorded once, must always be understood: test/recorded.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { fork } = require('../..');
const { QUICK, RawPeer, python } = require('../fixtures/protocol-peer');
const { load } = require('../recorded/end');
const { END, PRELOAD, V1, logEvents } = require('../recorded/record');
const { isLong } = require('../helpers/scale');

const REPLAY = path.join(__dirname, '../recorded/replay.py');
const stdio = ['pipe', 'pipe', 'inherit'];

/** A recorded child against this parent. Gives what it saw. */
async function againstParent({ scenario, serialization }, file) {
  const child = fork(REPLAY, ['child', file], {
    execPath: python(),
    execArgv: QUICK,
    channel: 'native',
    stdio: [...stdio, 'ipc'],
    serialization,
  });
  const peer = new RawPeer(child);
  const saw = [];
  const log = (...what) => saw.push(JSON.parse(JSON.stringify(what)));
  logEvents(child, log);
  load(scenario).parent(child, log);
  await once(child, 'close');
  await peer.leave();
  return { peer, saw };
}

/** A recorded parent against a child of this build. */
async function againstChild({ scenario }, file) {
  const args = [...QUICK, REPLAY, 'parent', file, PRELOAD, process.execPath, END, scenario];
  const peer = new RawPeer(spawn(python(), args, { stdio }));
  await peer.leave();
  assert.equal(peer.seen.find(({ event }) => event === 'exit').code, 0);
  const lines = peer.seen.filter(({ event }) => event === 'output');
  return { peer, saw: lines.map(({ line }) => JSON.parse(line)) };
}

/** Of one event all, in order. Which of two different events of a batch comes first is left open. */
function byEvent(lines) {
  const events = {};
  for (const [event, ...values] of lines) {
    events[event] ??= [];
    events[event].push(values);
  }
  return events;
}

describe('what was recorded of version 1', () => {
  const all = fs.readdirSync(V1);
  const subjects = [...new Set(all.map((name) => name.split('.')[0]))];
  // In the short form of each subject what one of both sides said, in turn.
  const chosen = subjects.map((subject, index) =>
    all.filter((name) => name.startsWith(`${subject}.`)).at(index % 2 === 0 ? 0 : -1),
  );
  for (const name of isLong ? all : chosen) {
    const file = path.join(V1, name);
    const recording = JSON.parse(fs.readFileSync(file, 'utf8'));
    const { about, from, expect, clients = [] } = recording;
    const other = from === 'parent' ? 'child' : 'parent';

    it(`is understood by a ${other} of this build: ${about}`, async () => {
      const replay = from === 'parent' ? againstChild : againstParent;
      const { peer, saw } = await replay(recording, file);
      assert.deepEqual(byEvent(saw), byEvent(expect));
      assert.deepEqual(saw.at(-1), expect.at(-1));
      const unsaid = peer.seen.find(({ event }) => event === 'unsaid');
      assert.deepEqual(unsaid.chunks, []);
      if (from !== 'parent') return;
      const talks = peer.seen.filter(({ event }) => event === 'client');
      assert.deepEqual(
        talks.flatMap(({ gets, got }) => (gets === undefined ? [] : [got])).toSorted(),
        clients.map(({ gets }) => gets).toSorted(),
      );
    });
  }
});
