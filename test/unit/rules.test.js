'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { missingOf, nameOf } = require('../helpers/named-tests');

/** { rule, tests: [[file, title]] } of each rule. */
function readRules(text) {
  const rules = [];
  for (const line of text.split('\n')) {
    const [, indent, content] = /^( *)- (.*)$/.exec(line) ?? [];
    if (content === undefined) continue;
    if (indent === '') rules.push({ rule: content, tests: [] });
    else rules.at(-1).tests.push(nameOf(content));
  }
  return rules;
}

describe('test/rules.md', () => {
  const rules = readRules(fs.readFileSync(path.join(__dirname, '../rules.md'), 'utf8'));

  it('has a test, or a reason in words, for each rule', () => {
    assert.ok(rules.length > 50);
    for (const { rule, tests } of rules) assert.ok(tests.length > 0, rule);
  });

  it('names only tests that exist', () => {
    const named = rules.flatMap(({ tests }) => tests).filter(([name]) => name !== 'no test');
    assert.deepEqual(missingOf(named), []);
  });
});
