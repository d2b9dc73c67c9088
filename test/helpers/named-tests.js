'use strict';

// Tests that a document names: `file: title`.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const TEST = path.join(__dirname, '..');

/** The file that a name in rules.md means. */
function fileOf(name) {
  const places = ['integration', 'unit', 'hostile', 'faults', 'long', '.'].map(
    (folder) => `${folder}/${name}.test.js`,
  );
  const found = [...places, `core/${name}.c`].find((file) => fs.existsSync(path.join(TEST, file)));
  assert.ok(found, `there is no test file ${name}`);
  return path.join(TEST, found);
}

/** Those of [file, title] that are not there. */
function missingOf(tests) {
  return tests.filter(([name, title]) => !fs.readFileSync(fileOf(name), 'utf8').includes(title));
}

/** [file, title] of a test's name. */
const nameOf = (text) => text.split(/: (.*)/s);

module.exports = { missingOf, nameOf };
