'use strict';

// Which wire a child will speak: the native one only where it is certain that the child runs this very Node
// with our preload, and may load our addon. Nothing here throws: where anything is in doubt, stock Node's wire does.

const path = require('node:path');
const { valueIn } = require('./environment');
const { FIRST_FREE_SLOT, hasBorrowedRights, hindrance } = require('./host');
const { forbiddenOption } = require('./node-options');
const { thisNodeIn } = require('./program');

/** Why the child cannot have the native wire, or null. Throws where that cannot be known. */
function reasonAgainst(options, slot, { changedFile, isPrivileged, startedAs }) {
  const { envPairs, uid, gid } = options;
  if (hindrance) return hindrance;
  if (slot < FIRST_FREE_SLOT) return `'ipc' is at stdio ${slot}`;
  if (uid != null || gid != null) return 'the child has another uid or gid';
  if (hasBorrowedRights()) return "this process's effective uid or gid is not its own";
  const args = (options.args ?? []).slice(1);
  const option = forbiddenOption(args, valueIn(envPairs, 'NODE_OPTIONS') ?? '');
  if (option) return `with ${option} the child may not load forkwire`;
  const program = thisNodeIn(options, startedAs);
  if (!program) return `${options.file} is not this Node`;
  if (isPrivileged(program)) return `${program} has rights of its own, and ignores NODE_OPTIONS`;
  return changedFile && `${changedFile} was replaced or removed, or cannot be read`;
}

/**
 * { wire: 'native' or 'node', reason: for the latter, why }.
 * @param options what ChildProcess.prototype.spawn() got
 * @param slot the index of 'ipc' in its stdio
 * @param asked options.channel of forkwire's own fork() and spawn(), or undefined
 * @param system { isPrivileged(path): whether the kernel makes that program ignore NODE_OPTIONS, startedAs(): both the
 *   addon's, changedFile: one of those that the child is to load and is not what this process has, or undefined }
 */
function chooseWire(options, slot, asked, system) {
  if (asked === 'native') return { wire: 'native' };
  if (asked === 'node') return { wire: 'node', reason: 'options.channel asks for it' };
  let reason;
  try {
    reason = reasonAgainst(options, slot, system);
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

module.exports = { chooseWire, isNode };
