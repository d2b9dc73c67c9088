'use strict';

// Every attack of test/fixtures/hostile_peer.py on a process of its own: on both wires, at both ends, with a child that is
// trusted and one that is not, in both serializations, and without any optional feature; each feature is switched off alone
// for a third of the attacks. test/helpers/outcomes.js says what must come of it.

const assert = require('node:assert/strict');
const { attackChild, attackParent, forAll } = require('../helpers/attack');
const { OUTCOMES, assertOutcome, outcomeOf } = require('../helpers/outcomes');

const ALL = Object.keys(OUTCOMES);
const ON_CHILD = ALL.filter((name) => name !== 'leaked-copy'); // its stdout would go with its parent

const MAX_MESSAGE = 1 << 20;
const MOST_MB = 60; // that one attack may cost, with the garbage of the process itself

const FEATURES = [
  ...['segments', 'slots', 'spinning', 'finishing', 'strings', 'sndbuf', 'gathering', 'joining'],
  ...['external', 'texts', 'plain-data', 'views'],
];

/** What is switched off, and for which of the attacks. */
function disabledIn(attacks) {
  const ofFeature = (feature, i) => [feature, attacks.filter((_, index) => index % 3 === i % 3)];
  return [[FEATURES.join(','), attacks], ...FEATURES.map(ofFeature)];
}

/** Settings of a channel: each is tried with all attacks. */
const SETTINGS = [
  { channel: 'native', serialization: 'json' },
  { channel: 'native', serialization: 'advanced' },
  { channel: 'native', untrusted: true },
  { channel: 'native', latency: 'low' },
  { channel: 'node', serialization: 'json' },
  { channel: 'node', serialization: 'advanced' },
  { channel: 'node', untrusted: true },
];

const titleOf = (settings) =>
  Object.entries(settings)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ');

function assertUnharmed(name, end, settings, seen) {
  assertOutcome(name, end, settings, seen);
  assert.equal(seen.isHonestOk, true);
  const { isLarge } = outcomeOf(name, end, settings);
  assert.ok(isLarge || seen.grownBy < MOST_MB, `it grew by ${seen.grownBy} MB`);
}

describe('an attack on a parent', () => {
  for (const settings of SETTINGS) {
    it(`costs at most its channel, ${titleOf(settings)}`, () =>
      forAll(ALL, async (name) => {
        const options = { maxMessageSize: MAX_MESSAGE, ...settings };
        assertUnharmed(name, 'parent', settings, await attackParent(name, options));
      }));
  }

  for (const [features, names] of disabledIn(ALL)) {
    it(`costs at most its channel without ${features}`, () =>
      forAll(names, async (name) => {
        const options = { maxMessageSize: MAX_MESSAGE, channel: 'native', latency: 'low' };
        const seen = await attackParent(name, options, { FORKWIRE_DISABLE: features });
        assertUnharmed(name, 'parent', options, seen);
      }));
  }
});

describe('an attack on a child', () => {
  for (const channel of ['native', 'node']) {
    for (const serialization of ['json', 'advanced']) {
      it(`costs at most its channel, ${titleOf({ channel, serialization })}`, () =>
        forAll(ON_CHILD, async (name) => {
          const settings = { channel, serialization };
          assertUnharmed(name, 'child', settings, await attackChild(name, settings));
        }));
    }
  }

  for (const [features, names] of disabledIn(ON_CHILD)) {
    it(`costs at most its channel without ${features}`, () =>
      forAll(names, async (name) => {
        const settings = { channel: 'native', serialization: 'advanced' };
        const seen = await attackChild(name, settings, { FORKWIRE_DISABLE: features });
        assertUnharmed(name, 'child', settings, seen);
      }));
  }
});
