'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { MUTATIONS } = require('../../scripts/mutations.js');

const ROOT = path.join(__dirname, '../..');
const textOf = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');

describe('scripts/mutations.js', () => {
  it('has 60 mutations at least, each of a text that is in its file once', () => {
    assert.ok(MUTATIONS.length >= 60);
    for (const { file, find, replace } of MUTATIONS) {
      assert.equal(textOf(file).split(find).length - 1, 1, `${file}: ${find}`);
      assert.notEqual(find, replace);
    }
  });

  it('names tests that exist', () => {
    for (const { file, tests } of MUTATIONS) {
      assert.ok(tests?.length > 0, file);
      for (const test of tests) {
        const ending = test.startsWith('core/') ? '.c' : '.test.js';
        assert.ok(fs.existsSync(path.join(ROOT, 'test', `${test}${ending}`)), test);
      }
    }
  });
});
