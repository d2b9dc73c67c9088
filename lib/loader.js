'use strict';

// Loads the files of this folder that a child needs to take its channel. Node's own loader looks for each of them in several
// ways, which for thirty files takes a child longer than everything else that forkwire does there. What was loaded is in
// require.cache like anything else, so that a later require('forkwire') gets the same, not a second copy.

const fs = require('node:fs');
const { compileFunction } = require('node:vm');

/** Needed with the first handle. A process that is short of descriptors by then cannot read a file. */
const OF_HANDLES = [
  'arrivals',
  'bookkeeping',
  'builtins',
  'handle-traffic',
  'handles',
  'moved-socket',
  'node-keys',
  'pending-writes',
  'server-lists',
  'socket-list',
];

const Module = module.constructor;
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

const sources = new Map(); // file -> what was read ahead

const fileOf = (name) => `${__dirname}/${name}.js`;

const read = (file) => fs.readFileSync(file, 'utf8');

function run(made, file) {
  const body = compileFunction(sources.get(file) ?? read(file), PARAMETERS, { filename: file });
  sources.delete(file);
  const requireFrom = (name) => (name.startsWith('./') ? load(name, made) : require(name));
  Reflect.apply(body, made.exports, [made.exports, requireFrom, made, file, __dirname]);
  made.loaded = true;
}

/**
 * As require(name), for a file of this folder.
 * @param name './<file>' without its extension
 * @param parent the module that asks for it
 */
function load(name, parent) {
  const file = fileOf(name.slice(2));
  const known = require.cache[file];
  if (known) return known.exports;
  const made = new Module(file, parent);
  made.filename = file;
  made.paths = module.paths;
  require.cache[file] = made;
  try {
    run(made, file);
  } finally {
    if (!made.loaded) delete require.cache[file];
  }
  return made.exports;
}

/** So that what handles need can be loaded whenever the first one comes. */
function readAhead() {
  for (const file of OF_HANDLES.map(fileOf)) {
    if (!require.cache[file]) sources.set(file, read(file));
  }
}

module.exports = { load, readAhead };
