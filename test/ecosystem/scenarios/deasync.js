'use strict';

// deasync: listeners of a child that ask their parent and wait for the answer, each within those before it.

const { fork } = require('node:child_process');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const deasync = require('deasync');
const { checkWire } = require('./wire');

const COUNT = 40;

function child() {
  const replies = new Map();
  let id = 0;
  const ask = (value) => {
    const mine = ++id;
    process.send({ ask: mine, value });
    deasync.loopWhile(() => !replies.has(mine));
    return replies.get(mine);
  };
  process.on('message', ({ reply, value, count }) => {
    if (reply) {
      replies.set(reply, value);
      return;
    }
    let sum = 0;
    for (let i = 0; i < count; i++) sum += ask(i);
    process.send({ count, sum });
  });
}

const lookUp = deasync(fs.stat);

/** deasync's own way: a function with a callback made synchronous, in a listener. (Not sleep(): where a tick runs behind a timer's
 * callback, another timer never comes, on stock as well.) */
function parent() {
  const asked = fork(__filename, ['child']);
  checkWire(asked.channel);
  let results = 0;
  asked.on('message', ({ ask, value, count, sum }) => {
    assert.ok(lookUp(__filename).isFile());
    if (ask) {
      asked.send({ reply: ask, value: value * 2 });
      return;
    }
    assert.equal(sum, count * (count - 1) + 0);
    if (++results === COUNT) asked.disconnect();
  });
  asked.on('exit', (code) => {
    assert.equal(code, 0);
    assert.equal(results, COUNT);
    console.log('all passed');
  });
  for (let i = 0; i < COUNT; i++) asked.send({ count: i % 7 });
}

if (process.argv[2] === 'child') child();
else parent();
