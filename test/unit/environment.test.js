'use strict';

const assert = require('node:assert/strict');
const { DEFAULTS } = require('../../lib/limits');
const {
  addonOfParent,
  pairsForChild,
  pairsForNodeChild,
  takeFrom,
  valueIn,
} = require('../../lib/environment');

const ADDON = '/with "all", =signs: 100% é/forkwire.node';
const CHANNEL = { fd: 3, inode: 4711, serialization: 'json', limits: undefined, addon: ADDON };

/** What a child takes, but for the text that it takes out of NODE_OPTIONS. */
function taken(env, preload) {
  const { option, ...channel } = takeFrom(env, preload);
  return channel;
}

const envOf = (pairs) => Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));

describe("the child's environment", () => {
  for (const preload of [
    '/a/preload.js',
    '/with space/p.js',
    '/with "quotes"/p.js',
    '/back\\slash/p.js',
  ]) {
    for (const given of [
      [],
      ['A=1', 'NODE_OPTIONS=--no-warnings'],
      ['NODE_OPTIONS='],
      ['NODE_OPTIONS= -r "x y" '],
    ]) {
      it(`is what was given again once ${preload} took the channel (${JSON.stringify(given)})`, () => {
        const env = envOf(pairsForChild(given, preload, CHANNEL));
        assert.match(env.NODE_OPTIONS, /^--require "/);
        assert.deepEqual(taken(env, preload), CHANNEL);
        assert.deepEqual(env, envOf(given));
      });
    }
  }

  it('is what was given when the child sees the preload under another name', () => {
    for (const given of [[], ['NODE_OPTIONS=-r x']]) {
      const env = envOf(pairsForChild(given, '/link/p.js', CHANNEL));
      takeFrom(env, '/real/p.js');
      assert.deepEqual(env, envOf(given));
    }
  });

  it("holds nothing of a channel that the user's variables name", () => {
    const users = ['NODE_CHANNEL_FD=3', 'NODE_CHANNEL_SERIALIZATION_MODE=json', 'A=1'];
    const env = envOf(pairsForChild([...users, 'FORKWIRE_CHANNEL=9:9'], '/p.js', CHANNEL));
    taken(env, '/p.js');
    assert.deepEqual(env, { A: '1' });
    const pairs = pairsForNodeChild([...users, 'FORKWIRE_CHANNEL=9:9'], CHANNEL);
    assert.deepEqual(envOf(pairs), {
      A: '1',
      NODE_CHANNEL_FD: '3',
      NODE_CHANNEL_SERIALIZATION_MODE: 'json',
    });
    assert.equal(pairs.length, 3);
  });

  it('quotes the preload the way NODE_OPTIONS wants it', () => {
    for (const [preload, quoted] of [
      ['/a b/p.js', '"/a b/p.js"'],
      ['/a"b/p.js', '"/a\\"b/p.js"'],
      ['/a\\b/p.js', '"/a\\\\b/p.js"'],
    ]) {
      const pairs = pairsForChild(['NODE_OPTIONS=-r x'], preload, CHANNEL);
      assert.equal(valueIn(pairs, 'NODE_OPTIONS'), `--require ${quoted} -r x`);
    }
  });

  it('is not made by changing the given pairs', () => {
    const given = Object.freeze(['A=1', 'NODE_OPTIONS=x']);
    const pairs = pairsForChild(given, '/p.js', CHANNEL);
    assert.ok(pairs.includes('A=1'));
    assert.deepEqual(given, ['A=1', 'NODE_OPTIONS=x']);
  });

  it('holds one FORKWIRE_CHANNEL, also if there was one before', () => {
    const pairs = pairsForChild(['FORKWIRE_CHANNEL=9:9', 'A==b'], '/p.js', CHANNEL);
    assert.equal(pairs.filter((pair) => pair.startsWith('FORKWIRE_CHANNEL=')).length, 1);
    assert.match(valueIn(pairs, 'FORKWIRE_CHANNEL'), /^3:4711:/);
    assert.equal(valueIn(pairs, 'A'), '=b');
  });

  it('carries the serialization and the limits that bind both ends', () => {
    const limits = {
      ...DEFAULTS,
      maxMessageSize: 1,
      creditBytes: 2,
      creditHandles: 3,
      exitStall: 4,
      exitTotal: 5,
    };
    const channel = { ...CHANNEL, serialization: 'advanced', limits };
    const env = envOf(pairsForChild([], '/p.js', channel));
    assert.deepEqual(taken(env, '/p.js'), channel);
  });
});

describe('takeFrom()', () => {
  it('gives null without a variable, and touches nothing', () => {
    const env = { NODE_OPTIONS: '--require "/p.js"' };
    assert.equal(takeFrom(env, '/p.js'), null);
    assert.deepEqual(env, { NODE_OPTIONS: '--require "/p.js"' });
  });

  it('gives null for nonsense, and removes it', () => {
    for (const value of [
      '',
      'x',
      '3',
      '3:',
      ':1',
      '-1:1',
      '3:1x',
      ' 3:1',
      '9999999999:1',
      '3:1e5',
    ]) {
      const env = { FORKWIRE_CHANNEL: value };
      assert.equal(takeFrom(env, '/p.js'), null, value);
      assert.deepEqual(env, {});
    }
  });

  it('ignores names that it does not know', () => {
    const env = { FORKWIRE_CHANNEL: '7:8:future=1,serialization=advanced,x' };
    const { fd, inode, serialization } = takeFrom(env, '/p.js');
    assert.deepEqual({ fd, inode, serialization }, { fd: 7, inode: 8, serialization: 'advanced' });
  });

  it("takes 'json' where nothing, or nothing known, is said", () => {
    for (const value of ['3:1', '3:1:', '3:1:serialization=xml', '3:1:serialization']) {
      assert.equal(takeFrom({ FORKWIRE_CHANNEL: value }, '/p.js').serialization, 'json');
    }
  });

  it('remembers the addon of the parent, if it named one', () => {
    takeFrom(envOf(pairsForChild([], '/p.js', CHANNEL)), '/p.js');
    assert.equal(addonOfParent(), ADDON);
    for (const value of ['3:1', '3:1:addon=%', '3:1:addon']) {
      takeFrom({ FORKWIRE_CHANNEL: value }, '/p.js');
      assert.equal(addonOfParent(), undefined, value);
    }
  });

  it('leaves a NODE_OPTIONS alone that does not begin with this preload', () => {
    const env = {
      FORKWIRE_CHANNEL: '3:1',
      NODE_OPTIONS: '--require "/other.js" --require "/p.js"',
    };
    takeFrom(env, '/p.js');
    assert.equal(env.NODE_OPTIONS, '--require "/other.js" --require "/p.js"');
  });
});

describe('valueIn()', () => {
  it('gives the value of the first pair of that name, as getenv(3) does', () => {
    assert.equal(valueIn(['AB=0', 'A=1', 'A=2'], 'A'), '1');
    assert.equal(valueIn(['AB=0'], 'A'), undefined);
    assert.equal(valueIn(['A='], 'A'), '');
  });
});
