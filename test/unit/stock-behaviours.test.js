'use strict';

// The tests that docs/stock-behaviours.md and docs/differences.md name exist.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');

/** The last cells of all tables: { file, title }. */
function namedTests(name) {
  const lines = fs.readFileSync(path.join(ROOT, 'docs', name), 'utf8').split('\n');
  const cells = lines
    .filter((line) => line.startsWith('|') && line.endsWith('|'))
    .map((line) => line.slice(1, -1).split('|').at(-1).trim())
    .filter((cell) => cell !== 'test' && cell !== '---');
  return cells.map((cell) => {
    const [file, ...title] = cell.split(': ');
    return { cell, file, title: title.join(': ') };
  });
}

/** Whether a test or a group of tests in the file has a title that begins so. */
function isInFile({ file, title }) {
  const where = path.join(ROOT, 'test', file);
  if (title === '' || !fs.existsSync(where)) return false;
  const text = fs.readFileSync(where, 'utf8').replaceAll("\\'", "'");
  return ["'", '"', '`'].some((quote) => text.includes(quote + title));
}

for (const name of ['stock-behaviours.md', 'differences.md']) {
  describe(`docs/${name}`, () => {
    const tests = namedTests(name);

    it('has a test for every row', () => {
      assert.ok(tests.length > 20);
      const missing = tests.filter((test) => !isInFile(test)).map(({ cell }) => cell);
      assert.deepEqual(missing, []);
    });
  });
}

it('a row without a test is found', () => {
  assert.equal(isInFile({ file: 'unit/nowhere.test.js', title: 'x' }), false);
  assert.equal(
    isInFile({ file: 'unit/stock-behaviours.test.js', title: ['no such', 'title'].join(' ') }),
    false,
  );
  assert.equal(isInFile({ file: 'unit/stock-behaviours.test.js', title: '' }), false);
  assert.equal(isInFile({ file: 'unit/stock-behaviours.test.js', title: 'has a test' }), true);
});
