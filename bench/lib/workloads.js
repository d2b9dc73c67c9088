'use strict';

// The files of bench/workloads. Each exports one workload, or an array of them:
//   name, title, unit      what an operation is
//   group                  a heading of the table
//   subjects               beside stock and forkwire: 'coalescing', 'port', 'stock again'
//   measures               [{ what, target }]: see measures.js
//   count, fixed, multiple operations of the first slice; whether of every slice; a divisor of their number
//   quickCount             instead of a fixed count in --quick
//   slices, warmTime       of a round, and ms before the first, instead of run.js's
//   children, forkOptions  how many (1), and fork()'s options
//   cpus                   run both processes on these (a list for taskset)
//   busy                   processes that keep the processors busy meanwhile
//   tree                   { file, mode, count, client, isRegistered }: fresh processes for each sample, see tree.js
//   rounds                 instead of run.js's, unless --rounds is given
//   isFresh                a driver of its own for each slice
//   clients                a mode of clients.js: a process that connects to the workload's server
//   connect                in place of endpoint.js
//   setUp, prepare, parent, cleanUp, tearDown(context, count)  the driver's side; only `parent` is measured
//   child(endpoint, { count, finish })  the child's: gives the handler of its messages

const fs = require('node:fs');
const path = require('node:path');

const FOLDER = path.join(__dirname, '../workloads');
const ORDER = [
  'cold',
  'messages',
  'round-trips',
  'large',
  'queue',
  'sockets',
  'cluster',
  'counts',
  'start',
];

function all() {
  const files = fs.readdirSync(FOLDER).filter((file) => file.endsWith('.js'));
  const workloads = files.flatMap((file) => require(path.join(FOLDER, file)));
  return workloads.sort((a, b) => ORDER.indexOf(a.group) - ORDER.indexOf(b.group));
}

function load(name) {
  const workload = all().find((each) => each.name === name);
  if (!workload) throw new Error(`there is no workload '${name}'`);
  return workload;
}

module.exports = { all, load };
