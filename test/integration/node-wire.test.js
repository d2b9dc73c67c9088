'use strict';

// Stock Node's wire between this Node and itself, and a program that is no Node: all that test/interop shows of every
// pair of versions, for one.

const assert = require('node:assert/strict');
const interop = require('../interop/cells');
const { itInLong } = require('../helpers/scale');

const { thisNode } = interop;

async function assertPasses(cell) {
  const results = await interop.runCell(cell);
  assert.deepEqual(
    results.filter(({ error }) => error !== undefined),
    [],
  );
}

describe("stock Node's wire", function wire() {
  for (const [index, serialization] of interop.SERIALIZATIONS.entries()) {
    (index === 0 ? it : itInLong)(
      `joins a forkwire parent and a stock child, ${serialization}`,
      async () => {
        await assertPasses(interop.fromForkwire(thisNode, thisNode, serialization));
      },
    );

    (index === 0 ? itInLong : it)(
      `joins a stock parent and a child that takes its channel over, ${serialization}`,
      async () => {
        await assertPasses(interop.fromStock(thisNode, thisNode, serialization));
      },
    );
  }

  it('joins a forkwire parent and a child that is no Node', async () => {
    await assertPasses(interop.toPython(thisNode));
  });
});
