'use strict';

// The table of frame kinds in docs/protocol.md says what the core's list of them says.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const read = (name) => fs.readFileSync(path.join(__dirname, '../..', name), 'utf8');

/** { number, name, feature, mayFollowEnd } of src/core/frame_kinds.h. */
function kindsOfCore() {
  const text = read('src/core/frame_kinds.h').replaceAll('\\\n', ' ');
  return [...text.matchAll(/KIND\(([A-Z_]+, \d+,[^)]*)\)/g)].map(([, row]) => {
    const [name, number, ...columns] = row.split(',').map((column) => column.trim());
    const [feature, gated, end] = columns.slice(-3);
    const of = feature === '0' ? '' : feature.replace('FW_FEATURE_', '').toLowerCase();
    const flag = gated.startsWith('FW_FLAG_') ? `flag ${gated.replace('FW_FLAG_', '')}: ` : '';
    return { number, name, feature: flag + of, mayFollowEnd: end === 'YES' ? 'yes' : 'no' };
  });
}

function kindsOfDocument() {
  const rows = read('docs/protocol.md').matchAll(/^\| (\d+) \| ([A-Z_]+) \|(.*)\|$/gm);
  return [...rows].map(([, number, name, rest]) => {
    const [feature, mayFollowEnd] = rest.split('|').slice(-2);
    return { number, name, feature: feature.trim(), mayFollowEnd: mayFollowEnd.trim() };
  });
}

describe('the table of frame kinds', () => {
  it('is the same in docs/protocol.md and in the core', () => {
    assert.equal(kindsOfCore().length, 20);
    assert.deepEqual(kindsOfDocument(), kindsOfCore());
  });
});
