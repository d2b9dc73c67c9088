'use strict';

// What a checkout needs to be built. It compiles the whole addon.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { copyOfCheckout, pathWith, runBuild } = require('../helpers/checkout');

describe('scripts/build.js', () => {
  let folder;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-checkout-'));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it('builds with an empty home and no npmrc, and again only after a change', () => {
    const checkout = copyOfCheckout(folder);
    const home = path.join(folder, 'home');
    fs.mkdirSync(home);
    const env = { PATH: process.env.PATH, HOME: home, npm_config_userconfig: os.devNull };

    const first = runBuild(checkout, [], env);
    assert.equal(first.status, 0, first.stdout + first.stderr);
    assert.match(first.stderr, /^forkwire: built .*forkwire\.node$/m);

    const second = runBuild(checkout, [], env);
    assert.equal(second.stdout + second.stderr, '');
    assert.equal(second.status, 0);

    const later = new Date(Date.now() + 1000);
    fs.utimesSync(path.join(checkout, 'src/forkwire.h'), later, later);
    const third = runBuild(checkout, [], { ...env, PATH: pathWith(folder, {}) });
    assert.match(third.stderr, /missing/);
  });
});
