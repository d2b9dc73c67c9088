'use strict';

// Which pairs of a parent and a child there are, and how one pair is run.

const path = require('node:path');
const { nodeOf } = require('../../scripts/lib/releases');
const { QUICK, python } = require('../fixtures/protocol-peer');
const { run } = require('../helpers/run');

const VERSIONS = ['20', '22', '24', '26'];
const SERIALIZATIONS = ['json', 'advanced'];
const REGISTER = path.join(__dirname, '../../lib/register.js');
const PARENT = path.join(__dirname, 'parent.js');

/** A Node: { version, binary }. */
const node = (version) => ({ version, binary: nodeOf(version) });

const thisNode = {
  version: process.versions.node.split('.')[0],
  binary: process.execPath,
};

const COMMON_KINDS = [
  'net.Socket tcp',
  'net.Socket unix',
  'net.Server tcp',
  'net.Server unix',
  'net.Native TCP',
  'net.Native Pipe',
  'dgram.Socket udp4',
  'dgram.Socket udp6',
  'dgram.Native UDP',
];

const hasBoundSocket = ({ version }) => Number(version) >= 26;

const nodeChild = ({ binary }, isForkwire) => ({
  node: binary,
  script: path.join(__dirname, 'child.js'),
  args: [],
  execArgv: isForkwire ? ['--require', REGISTER] : [],
  isForkwire,
});

/** @param protocols what each end says of its channel: null where it is Node's own */
function cell(parent, parentKind, child, childKind, { wire, serialization, protocols }) {
  const isForkwire = childKind === 'forkwire';
  const kinds = [...COMMON_KINDS];
  if (hasBoundSocket(parent) && hasBoundSocket(child)) kinds.push('net.BoundSocket');
  return {
    title: `${parentKind} ${parent.version}`,
    childTitle: `${childKind} ${child.version}`,
    binary: parent.binary,
    parent: parentKind,
    // On its own wire forkwire puts its preload there itself.
    child: { ...nodeChild(child, isForkwire && wire === 'node'), isForkwire },
    wire,
    serialization,
    kinds,
    protocols,
  };
}

const fromForkwire = (parent, child, serialization) =>
  cell(parent, 'forkwire', child, 'stock', {
    wire: 'node',
    serialization,
    protocols: ['node', null],
  });

const fromStock = (parent, child, serialization) =>
  cell(parent, 'stock', child, 'forkwire', {
    wire: 'node',
    serialization,
    protocols: [null, 'node'],
  });

const bothOnNode = (parent, child, serialization) =>
  cell(parent, 'forkwire', child, 'forkwire', {
    wire: 'node',
    serialization,
    protocols: ['node', 'node'],
  });

const bothNative = (parent, child, serialization) =>
  cell(parent, 'forkwire', child, 'forkwire', {
    wire: 'native',
    serialization,
    protocols: ['native', 'native'],
  });

/** A child that is no Node, but speaks its wire. */
function toPython(parent, parentKind = 'forkwire') {
  const made = cell(parent, parentKind, { version: '0' }, 'stock', {
    wire: 'node',
    serialization: 'json',
    protocols: [parentKind === 'forkwire' ? 'node' : null, null],
  });
  const script = path.join(__dirname, 'child.py');
  const child = { node: python(), script, args: [], execArgv: QUICK, isForkwire: false };
  return { ...made, childTitle: 'Python', child };
}

/** Resolves with [{ scenario, error?, skipped? }]. */
async function runCell({ binary, ...about }) {
  const { code, signal, stdout, stderr } = await run(binary, [PARENT, JSON.stringify(about)]);
  const results = stdout.split('\n').filter(Boolean).map(JSON.parse);
  const witness = results.find((result) => result.witness)?.witness;
  const scenarios = results.filter(({ scenario }) => scenario !== undefined);
  scenarios.push(lastWord(about, witness));
  if (code !== 3) {
    const error = `the parent ended with ${signal ?? code}: ${stderr.slice(-2000)}`;
    scenarios.push({ scenario: 'end', error });
  }
  return scenarios;
}

const EVERYTHING = [101, 300_190]; // messages and characters of parent.js

/** What the last child saw of a parent that ended. */
function lastWord({ parent }, witness) {
  const scenario = 'exit of the parent';
  if (!witness) return { scenario, error: 'its child saw no end' };
  const isComplete = witness.every((value, i) => value === EVERYTHING[i]);
  if (isComplete || parent === 'stock') return { scenario };
  return { scenario, error: `its child saw ${witness[0]} messages of ${EVERYTHING[0]}` };
}

module.exports = {
  SERIALIZATIONS,
  VERSIONS,
  bothNative,
  bothOnNode,
  fromForkwire,
  fromStock,
  node,
  runCell,
  thisNode,
  toPython,
};
