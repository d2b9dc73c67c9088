'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { pathToFileURL } = require('node:url');
const { exited, messagesOf } = require('../helpers/events');
const { fixture, forkFixture } = require('../helpers/fork-fixture');
const { run } = require('../helpers/run');
const { itIsBetter } = require('../helpers/subject');

const CHILD_URL = pathToFileURL(fixture('esm/child.mjs')).href;

describe('ECMAScript modules', () => {
  it('as child receive what was sent before they listened', async () => {
    const child = forkFixture('esm/child.mjs');
    const answers = messagesOf(child, 4);
    for (let i = 0; i < 3; i++) child.send(i);
    assert.deepEqual(await answers, [CHILD_URL, 0, 1, 2]);
    child.disconnect();
    await exited(child);
  });

  it('as parent fork others', async () => {
    const { stdout, stderr } = await run(process.execPath, [fixture('esm/parent.mjs')]);
    assert.equal(stderr, '');
    assert.deepEqual(JSON.parse(stdout), { answers: [CHILD_URL, 'hello'], code: 0 });
  });

  it('work with a loader of their own preload', async () => {
    const preload = `data:text/javascript,${encodeURIComponent('globalThis.preloaded = true;')}`;
    const child = forkFixture('esm/child.mjs', [], { execArgv: ['--import', preload] });
    child.send('x');
    assert.deepEqual(await messagesOf(child, 2), [CHILD_URL, 'x']);
    child.disconnect();
    await once(child, 'exit');
  });

  itIsBetter('import the functions by name', async () => {
    const { stdout } = await run(process.execPath, [fixture('esm/named.mjs')]);
    assert.equal(stdout, 'function\n');
  });
});
