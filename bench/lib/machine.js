'use strict';

// What a figure is worth nothing without.

const fs = require('node:fs');
const os = require('node:os');

function sysctl(name) {
  try {
    return Number(fs.readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'));
  } catch {
    return null; // not Linux
  }
}

/** The machine and the state it is in. */
function describe() {
  const cpus = os.cpus();
  return {
    date: new Date().toISOString(),
    node: process.version,
    platform: `${process.platform}-${process.arch}, ${os.type()} ${os.release()}`,
    cpu: cpus[0]?.model ?? 'unknown',
    cpus: cpus.length,
    load: os.loadavg().map((load) => Number(load.toFixed(2))),
    user: process.getuid() === 0 ? 'root' : 'ordinary user',
    wmemMax: sysctl('net.core.wmem_max'),
  };
}

module.exports = { describe };
