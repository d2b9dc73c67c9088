'use strict';

// What holds for every child of this process; and the one question that most children need asked.

const { nodeProcess } = require('./primordials');

const FIRST_FREE_SLOT = 3; // 0 to 2 are the child's stdio

function isSingleExecutable() {
  try {
    return require('node:sea').isSea();
  } catch {
    return false; // a Node without that module
  }
}

/** Why no child of this process can load a preload, or null. */
function hindranceOf(host) {
  const { FORKWIRE_DISABLE = '' } = host.env;
  if (FORKWIRE_DISABLE.split(',').includes('native')) return 'FORKWIRE_DISABLE names it';
  if (host.versions.electron || host.pkg || host.nexe || isSingleExecutable()) {
    return 'this program is no plain Node: its children ignore NODE_OPTIONS';
  }
  if (host.config?.variables?.node_without_node_options) return 'this Node ignores NODE_OPTIONS';
  return null;
}

const hindrance = hindranceOf(nodeProcess);

const { getegid, geteuid, getgid, getuid } = nodeProcess;

/** The kernel then has the child ignore NODE_OPTIONS. */
const hasBorrowedRights = () => getuid() !== geteuid() || getgid() !== getegid();

/** Whether it is, or may be: what is no string is looked at elsewhere, where it may throw. */
const isNodeOptions = (pair) => typeof pair !== 'string' || pair.startsWith('NODE_OPTIONS=');

/** Whether its first argument is a script: then no option of Node's stands before one. */
const beginsWithScript = ([, script]) =>
  typeof script === 'string' && script.includes('/') && !script.startsWith('-');

/**
 * Whether a child runs this very Node, and nothing was given that could matter to forkwire. Where it does not, or that is not
 * certain, wire-choice.js has the whole answer.
 * @param options what ChildProcess.prototype.spawn() got; `system` as for chooseWire()
 */
function isPlainNode({ file, args = [], envPairs, uid, gid }, slot, system) {
  return (
    hindrance === null &&
    slot >= FIRST_FREE_SLOT &&
    uid == null &&
    gid == null &&
    file.startsWith('/') &&
    beginsWithScript(args) &&
    !envPairs.some(isNodeOptions) &&
    !hasBorrowedRights() &&
    system.changedFile === undefined &&
    system.isOwnProgram(file) &&
    !system.isPrivileged(file)
  );
}

module.exports = { FIRST_FREE_SLOT, hasBorrowedRights, hindrance, isPlainNode };
