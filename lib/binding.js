'use strict';

// Loads the addon.

const path = require('node:path');
const { forkwireError } = require('./errors');

const BUILT = path.join(__dirname, '../build/Release/forkwire.node');

function load() {
  const file = process.env.FORKWIRE_BINARY || BUILT;
  try {
    return require(file);
  } catch (cause) {
    const what = `No addon of forkwire for ${process.platform}-${process.arch} at ${file}; "node scripts/build.js" in its folder builds it`;
    throw forkwireError('ERR_FORKWIRE_NO_BINARY', what, { cause });
  }
}

module.exports = load();
