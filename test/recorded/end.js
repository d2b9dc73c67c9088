'use strict';

// One end of a scenario as a program: `node end.js <scenario>` is its child. What it saw goes to stdout, a line each.

const fs = require('node:fs');
const path = require('node:path');

function load(name) {
  return require(path.join(__dirname, 'scenarios', `${name}.js`));
}

if (require.main === module) {
  const log = (...what) => fs.writeSync(1, `${JSON.stringify(what)}\n`);
  process.on('disconnect', () => log('disconnect'));
  process.on('error', ({ code }) => log('error', code));
  load(process.argv[2]).child(process, log);
}

module.exports = { load };
