'use strict';

// Finds and loads the addon: the one that FORKWIRE_BINARY names, the one that was built in this folder, or the one
// for this platform that the package brings.

const fs = require('node:fs');
const path = require('node:path');
const { forkwireError } = require('./errors');
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
  if (nodeProcess.env.FORKWIRE_BINARY) {
    yield path.resolve(nodeProcess.env.FORKWIRE_BINARY);
    return;
  }
  yield path.join(ROOT, 'build/Release/forkwire.node');
  const musl = libc() === 'musl' ? 'musl' : '';
  yield path.join(ROOT, `prebuilds/${platform}${musl}-${arch}.node`);
}

function load() {
  const { bun } = nodeProcess.versions;
  if (bun) throw forkwireError('ERR_FORKWIRE_RUNTIME', `Bun ${bun}`);
  const tried = [];
  try {
    for (const file of candidates()) {
      tried.push(file);
      if (fs.existsSync(file)) break;
    }
    // As require() would at last, which first looks for the file in several ways.
    const loaded = { exports: {} };
    nodeProcess.dlopen(loaded, tried.at(-1));
    return loaded.exports;
  } catch (cause) {
    const host = [`${platform}-${arch}`, libc()].filter(Boolean).join(' with ');
    const what = `No addon of forkwire for ${host}; tried ${tried.join(' and ')}. To build it: cd "${ROOT}" && npm install`;
    throw forkwireError('ERR_FORKWIRE_NO_BINARY', what, { cause });
  }
}

module.exports = load();
