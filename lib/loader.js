'use strict';

// Loads the files of this folder. Node's own loader looks for each of them in several ways, which for thirty files takes
// longer than everything else that forkwire does when it starts. What was loaded is in require.cache like anything else,
// so that there is no second copy. Files that are needed later, or never, are read with the first ones: by then a
// deployment may have replaced or removed the folder, or the process may be out of descriptors.

// First of all: a bundle may have no require() at all. Its one file knows nothing of those that are found by name.
if (typeof __filename !== 'string' || !/^\/.*\/lib\/loader\.js$/.test(__filename)) {
  const text =
    'forkwire cannot be part of a bundle, since its children load its files: make it external ' +
    '(esbuild: --external:forkwire) and install it where the bundle runs, see docs/bundling.md';
  throw Object.assign(new Error(text), { code: 'ERR_FORKWIRE_BUNDLED' });
}

const { nodeProcess } = require('./primordials');

/** What load() may be asked for after the start. */
const LATER = [
  'advanced',
  'channel',
  'diagnostics',
  'errors',
  'handle-traffic',
  'limits',
  'long-strings',
  'node-internals',
  'node-polls',
  'node-protocol',
  'outbox',
  'wire-choice',
];

const Module = module.constructor;
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

/** A test runner has a module system of its own; so has a CommonJS file that Node's loader of ES modules takes in
 * itself. Their require() does it there. */
const isNodes = require.cache !== undefined && module instanceof require('node:module');

let sourceOf = () => undefined; // of a file that was read ahead
const loadedAhead = new Map(); // by another module system: name -> exports

const fileOf = (name) => `${__dirname}/${name}.js`;

const read = (file) => require('node:fs').readFileSync(file, 'utf8');

/** The oldest versions of package.json's `engines`. Nothing above may need a newer language than they do. */
function isTooOld(version) {
  const [major, minor] = version.split('.').map(Number);
  return major < 20 || major === 21 || (major === 20 && minor < 19) || (major === 22 && minor < 12);
}

function run(made, file) {
  const { compileFunction } = require('node:vm');
  const body = compileFunction(sourceOf(file) ?? read(file), PARAMETERS, { filename: file });
  const requireFrom = (name) => (name.startsWith('./') ? load(name, made) : require(name));
  Reflect.apply(body, made.exports, [made.exports, requireFrom, made, file, __dirname]);
  made.loaded = true;
}

function loadFile(name, parent) {
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

/**
 * As require(name), for a file of this folder.
 * @param name './<file>' without its extension
 * @param parent the module that asks for it
 */
function load(name, parent) {
  if (isNodes) return loadFile(name, parent);
  return loadedAhead.get(name) ?? require(name);
}

/**
 * Has the addon read all files, so that they can be loaded whenever they are needed. A module system that is not Node's may be
 * gone by then, so they are loaded at once.
 */
function readAhead(addon) {
  if (isNodes) {
    addon.readSources(__dirname);
    sourceOf = addon.sourceOf;
    return;
  }
  for (const name of LATER) loadedAhead.set(`./${name}`, require(`./${name}`));
}

if (isTooOld(nodeProcess.versions.node)) {
  const found = `Node ${nodeProcess.versions.node} is too old`;
  throw require('./errors').forkwireError('ERR_FORKWIRE_RUNTIME', found);
}

module.exports = { load, readAhead };
