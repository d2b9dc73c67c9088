'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { missingOf, nameOf } = require('../helpers/named-tests');

describe('SECURITY.md', () => {
  it('names for each bound a test that exists', () => {
    const text = fs.readFileSync(path.join(__dirname, '../../SECURITY.md'), 'utf8');
    const lines = text.split('\n').filter((line) => line.startsWith('| '));
    const rows = lines.slice(2).map((line) => line.slice(2, -2).split(' | '));
    assert.ok(rows.length >= 8);
    for (const [what, bound, tests = ''] of rows) {
      assert.notEqual(bound, '', what);
      const named = tests.split('<br>').map(nameOf);
      assert.ok(
        named.every(([, title]) => title),
        what,
      );
      assert.deepEqual(missingOf(named), []);
    }
  });
});
