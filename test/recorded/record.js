'use strict';

// Writes test/recorded/v1: what both ends of each scenario say to each other, byte by byte. Run by hand when version 1
// gets a scenario more: `node test/recorded/record.js [name]...`, then `npm run format`. What is there must stay: it is what version 1
// looked like, and all later versions must understand it.
//
// A recording: { scenario, about, from: who speaks, serialization, clients?, chunks, expect: what the other end saw }.
// A chunk: { after: what the other end had said by then, frames: for readers, hex or deflated (zlib, base64),
//   descriptors: kinds of those that left with its first byte, patches: [{ at, inodeOf: index of a descriptor }, or
//   { at, keyOfHandle: id of a handle of the other end, whose server's key belongs here }] }

const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { fork } = require('../..');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { load } = require('./end');

const PRELOAD = path.join(__dirname, '../../lib/preload.js');
const END = path.join(__dirname, 'end.js');
const V1 = path.join(__dirname, 'v1');

function logEvents(child, log) {
  child.on('disconnect', () => log('disconnect'));
  child.on('error', ({ code }) => log('error', code));
}

async function run(name, scenario, notes) {
  const args = [notes, String(scenario.limit ?? 0), PRELOAD, process.execPath, END, name];
  const options = { execPath: python(), execArgv: QUICK, channel: 'native' };
  const { serialization = 'json' } = scenario;
  const child = fork(path.join(__dirname, 'tap.py'), args, { ...options, serialization });
  const parentSaw = [];
  const log = (...what) => parentSaw.push(JSON.parse(JSON.stringify(what)));
  logEvents(child, log);
  scenario.parent(child, log);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${name}: exit code ${code}`);
  return parentSaw;
}

async function record(name) {
  const scenario = load(name);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-record-'));
  const file = path.join(folder, 'notes.json');
  const parentSaw = await run(name, scenario, file);
  const notes = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.rmSync(folder, { recursive: true });
  const childSaw = notes.childSaw
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const { about, serialization = 'json', clients, streams = ['parent', 'child'] } = scenario;
  for (const from of streams) {
    const expect = from === 'parent' ? childSaw : parentSaw;
    const shared = { scenario: name, about, from, serialization, clients };
    const recording = { ...shared, chunks: notes[from], expect };
    const text = `${JSON.stringify(recording, null, 1)}\n`;
    fs.writeFileSync(path.join(V1, `${name}.${from}.json`), text);
  }
}

async function main(given) {
  const all = fs
    .readdirSync(path.join(__dirname, 'scenarios'))
    .map((file) => path.parse(file).name);
  for (const name of given.length > 0 ? given : all) {
    await record(name);
    console.log(`recorded ${name}`);
  }
}

if (require.main === module) main(process.argv.slice(2));

module.exports = { END, PRELOAD, V1, logEvents };
