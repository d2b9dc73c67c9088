'use strict';

// Children that are stopped or dead while this process does not look.

const fs = require('node:fs');
const { PATIENCE_MS } = require('./patience');

const stateOf = (pid) => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()[0];

// Its descriptors are closed when the last of its threads has ended.
const isDead = (pid) => stateOf(pid) === 'Z' && fs.readdirSync(`/proc/${pid}/task`).length === 1;

const clock = new Int32Array(new SharedArrayBuffer(4));

// All of these block: the loop of this process does not turn meanwhile.

function sleep(ms) {
  Atomics.wait(clock, 0, 0, ms);
}

function blockUntil(condition) {
  const end = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`this did not become true: ${condition}`);
    sleep(1);
  }
}

function untilStopped(child) {
  blockUntil(() => stateOf(child.pid) === 'T');
}

/** Returns when the child is dead, before this process has noticed its end. */
function untilDead(child) {
  blockUntil(() => isDead(child.pid));
}

function stop(child) {
  child.kill('SIGSTOP');
  untilStopped(child);
}

function resume(child) {
  child.kill('SIGCONT');
}

function killUnnoticed(child) {
  child.kill('SIGKILL');
  untilDead(child);
}

module.exports = { blockUntil, killUnnoticed, resume, sleep, stop, untilDead, untilStopped };
