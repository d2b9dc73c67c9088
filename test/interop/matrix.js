'use strict';

// npm run test:interop: every version of Node as parent and child, with and without forkwire, a line for each pair.
//   node test/interop/matrix.js [part of a line ...]   only the lines that contain all of these

const cells = require('./cells');

const AT_ONCE = 2;

function allCells() {
  const nodes = cells.VERSIONS.map(cells.node);
  const pairs = nodes.flatMap((parent) => nodes.map((child) => [parent, child]));
  const isSame = ([parent, child]) => parent === child;
  const both = (make, some) =>
    some.flatMap((pair) => cells.SERIALIZATIONS.map((each) => make(...pair, each)));
  return [
    ...both(cells.fromForkwire, pairs),
    ...both(cells.fromStock, pairs),
    ...both(cells.bothOnNode, pairs.filter(isSame)),
    ...both(
      cells.bothNative,
      pairs.filter((pair) => !isSame(pair)),
    ),
    ...nodes.flatMap((parent) => ['forkwire', 'stock'].map((kind) => cells.toPython(parent, kind))),
  ];
}

function describe({ title, childTitle, wire, serialization }) {
  const parts = [title.padEnd(11), '->', childTitle.padEnd(11), wire.padEnd(6), serialization];
  return parts.join(' ').padEnd(43);
}

const skips = new Set();

/** Whether it passed. */
async function report(cell) {
  const startedAt = performance.now();
  const results = await cells.runCell(cell);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const failed = results.filter(({ error }) => error !== undefined);
  for (const { scenario, skipped } of results) if (skipped) skips.add(`'${scenario}': ${skipped}`);
  const count = results.filter(({ skipped }) => !skipped).length;
  const verdict = failed.length === 0 ? 'pass' : 'FAIL';
  console.log(`${describe(cell)} ${verdict} ${count - failed.length}/${count} ${seconds} s`);
  for (const { scenario, error } of failed) console.log(`    ${scenario}: ${error}`);
  return failed.length === 0;
}

async function main(words) {
  const left = allCells().filter((cell) => words.every((word) => describe(cell).includes(word)));
  const count = left.length;
  let passed = 0;
  const work = async () => {
    for (let cell = left.shift(); cell; cell = left.shift()) if (await report(cell)) passed++;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  for (const each of skips) console.log(`left out where it is not forkwire's: ${each}`);
  console.log(`${passed} of ${count} passed`);
  if (passed < count || count === 0) process.exitCode = 1;
}

main(process.argv.slice(2));
