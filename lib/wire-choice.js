'use strict';

// Which wire a child will speak: the native one only where it is certain that the child runs this very Node
// with our preload, and may load our addon. Nothing here throws: where anything is in doubt, stock Node's wire does.

const { accessSync, constants, statSync } = require('node:fs');
const path = require('node:path');
const { valueIn } = require('./environment');
const { isDisabled } = require('./features');
const { forbiddenOption } = require('./node-options');
const { nodeProcess } = require('./primordials');
const { thisNodeIn } = require('./program');

const FIRST_FREE_INDEX = 3; // 0 to 2 are the child's stdio

function isSingleExecutable() {
  try {
    return require('node:sea').isSea();
  } catch {
    return false; // a Node without that module
  }
}

/** Why no child of this process can load a preload, or null. */
function hindranceOf(host) {
  if (isDisabled('native')) return 'FORKWIRE_DISABLE names it';
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

/** What tells a file from another that took its place; null where there is none that can be read. */
function identityOf(file) {
  try {
    const { dev, ino, size, mtimeMs } = statSync(file);
    accessSync(file, constants.R_OK);
    return `${dev}:${ino}:${size}:${mtimeMs}`;
  } catch {
    return null;
  }
}

const identities = new Map(); // file -> what it was when this process loaded it

/** Files that children will load: they must stay what they are now. */
function remember(files) {
  for (const file of files) if (!identities.has(file)) identities.set(file, identityOf(file));
}

/** Whether it is gone, or may not be read, or is another than this process has. */
function hasChanged(file) {
  const identity = identities.get(file);
  return !identity || identityOf(file) !== identity;
}

/** Why the child cannot have the native wire, or null. Throws where that cannot be known. */
function reasonAgainst(options, slot, files, { isPrivileged, startedAs }) {
  const { envPairs, uid, gid } = options;
  if (hindrance) return hindrance;
  if (slot < FIRST_FREE_INDEX) return `'ipc' is at stdio ${slot}`;
  if (uid != null || gid != null) return 'the child has another uid or gid';
  if (hasBorrowedRights()) return "this process's effective uid or gid is not its own";
  const args = (options.args ?? []).slice(1);
  const option = forbiddenOption(args, valueIn(envPairs, 'NODE_OPTIONS') ?? '');
  if (option) return `with ${option} the child may not load forkwire`;
  const program = thisNodeIn(options, startedAs);
  if (!program) return `${options.file} is not this Node`;
  if (isPrivileged(program)) return `${program} has rights of its own, and ignores NODE_OPTIONS`;
  const file = files.find(hasChanged);
  return file && `${file} was replaced or removed, or cannot be read`;
}

/**
 * { wire: 'native' or 'node', reason: for the latter, why }.
 * @param options what ChildProcess.prototype.spawn() got
 * @param slot the index of 'ipc' in its stdio
 * @param asked options.channel of forkwire's own fork() and spawn(), or undefined
 * @param files what the child is to load
 * @param system the addon's { isPrivileged(path): whether the kernel makes that program ignore NODE_OPTIONS, startedAs() }
 */
function chooseWire(options, slot, asked, files, system) {
  if (asked === 'native') return { wire: 'native' };
  if (asked === 'node') return { wire: 'node', reason: 'options.channel asks for it' };
  let reason;
  try {
    reason = reasonAgainst(options, slot, files, system);
  } catch (error) {
    reason = `what the child will run cannot be known: ${error.message}`;
  }
  return reason ? { wire: 'node', reason } : { wire: 'native' };
}

/** Whether a program is Node, as far as can be told: then its own death is the end of its channel. Anything else may be
 * a wrapper whose child has the channel. */
function isNode(options, { startedAs }) {
  if (/^node(js)?$/.test(path.basename(options.file))) return true;
  try {
    return thisNodeIn(options, startedAs) !== null;
  } catch {
    return false; // it cannot be found: spawn() will say so
  }
}

module.exports = { chooseWire, isNode, remember };
