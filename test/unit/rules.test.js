'use strict';

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

/** { rule, tests: [[file, title]] } of each rule. */
function readRules(text) {
  const rules = [];
  for (const line of text.split('\n')) {
    const [, indent, content] = /^( *)- (.*)$/.exec(line) ?? [];
    if (content === undefined) continue;
    if (indent === '') rules.push({ rule: content, tests: [] });
    else rules.at(-1).tests.push(content.split(/: (.*)/s));
  }
  return rules;
}

describe('test/rules.md', () => {
  const rules = readRules(fs.readFileSync(path.join(TEST, 'rules.md'), 'utf8'));

  it('has a test, or a reason in words, for each rule', () => {
    assert.ok(rules.length > 50);
    for (const { rule, tests } of rules) assert.ok(tests.length > 0, rule);
  });

  it('names only tests that exist', () => {
    const named = rules.flatMap(({ tests }) => tests).filter(([name]) => name !== 'no test');
    const isThere = ([name, title]) => fs.readFileSync(fileOf(name), 'utf8').includes(title);
    assert.deepEqual(
      named.filter((test) => !isThere(test)),
      [],
    );
  });
});
