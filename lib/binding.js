'use strict';

// Finds and loads the addon: the one that this process's parent has, the one that FORKWIRE_BINARY names, the one that
// was built in this folder, or the one for this platform that the package brings.

const fs = require('node:fs');
const path = require('node:path');
const { addonOfParent } = require('./environment');
const { load: loadFile } = require('./loader');
const { arch, nodeProcess, platform } = require('./primordials');

const ROOT = path.join(__dirname, '..');

/** The C library: it is mapped, musl as the dynamic loader that it is or under its plain name. */
function libc() {
  try {
    const maps = fs.readFileSync('/proc/self/maps', 'latin1');
    return /\/(ld-musl-[^/\n]*|libc)\.so(\.1)?$/m.test(maps) ? 'musl' : 'glibc';
  } catch {
    return platform === 'linux' ? 'glibc' : ''; // Linux without /proc, or another system
  }
}

function* candidates() {
  const named = addonOfParent() || nodeProcess.env.FORKWIRE_BINARY;
  if (named) {
    yield path.resolve(named);
    return;
  }
  yield path.join(ROOT, 'build/Release/forkwire.node');
  const musl = libc() === 'musl' ? 'musl' : '';
  yield path.join(ROOT, `prebuilds/${platform}${musl}-${arch}.node`);
}

function remedy() {
  if (addonOfParent())
    return 'It is that of the parent, and was there when this process was started';
  if (nodeProcess.env.FORKWIRE_BINARY)
    return 'FORKWIRE_BINARY names it: unset it, or name a file that is there';
  return `To build it: cd "${ROOT}" && npm install`;
}

const failure = (...args) => loadFile('./errors', module).forkwireError(...args);

function load() {
  const { bun } = nodeProcess.versions;
  if (bun) throw failure('ERR_FORKWIRE_RUNTIME', `This is Bun ${bun}`);
  const tried = [];
  try {
    for (const file of candidates()) {
      tried.push(file);
      if (fs.existsSync(file)) break;
    }
    // As require() would at last, which first looks for the file in several ways.
    const loaded = { exports: {} };
    nodeProcess.dlopen(loaded, tried.at(-1));
    return { ...loaded.exports, file: tried.at(-1) };
  } catch (cause) {
    const host = [`${platform}-${arch}`, libc()].filter(Boolean).join(' with ');
    const what = `No addon of forkwire for ${host}; tried ${tried.join(' and ')}. ${remedy()}`;
    throw failure('ERR_FORKWIRE_NO_BINARY', what, { cause });
  }
}

module.exports = load();
