'use strict';

// CPU time of processes: what shows that nobody waits in a busy loop, whatever else the machine does.

const fs = require('node:fs');
const { setTimeout: wait } = require('node:timers/promises');

const MS_PER_TICK = 10; // USER_HZ is 100

/** ms of CPU time, user and system, that a process has used. */
function cpuTimeOf(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop().split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** Resolves with the ms of CPU time that each of the processes uses within `ms`. */
async function cpuTimeWithin(ms, pids) {
  const before = pids.map(cpuTimeOf);
  await wait(ms);
  return pids.map((pid, i) => cpuTimeOf(pid) - before[i]);
}

module.exports = { cpuTimeWithin };
