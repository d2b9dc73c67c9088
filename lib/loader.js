'use strict';

// Loads the files of this folder that a child needs to take its channel. Node's own loader looks for each of them in several
// ways, which for thirty files takes a child longer than everything else that forkwire does there. What was loaded is in
// require.cache like anything else, so that a later require('forkwire') gets the same, not a second copy.

const fs = require('node:fs');
const { compileFunction } = require('node:vm');

const Module = module.constructor;
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

function run(made, file) {
  const body = compileFunction(fs.readFileSync(file, 'utf8'), PARAMETERS, { filename: file });
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
  const file = `${__dirname}/${name.slice(2)}.js`;
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

module.exports = { load };
