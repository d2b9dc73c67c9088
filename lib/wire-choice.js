'use strict';

// Which wire a child will speak: the native one only where it is certain that the child runs this very Node
// with our preload, and may load an addon.

const fs = require('node:fs');
const path = require('node:path');
const { invalidArgValue } = require('./errors');
const { valueIn } = require('./environment');
const { nodeProcess } = require('./primordials');

const FIRST_FREE_INDEX = 3; // 0 to 2 are the child's stdio

// With these a child does not run preloads, or not in the process that has the channel, or may not load an addon.
const FORBIDDEN =
  /^--(watch|permission|experimental-permission|no-addons|env-file|run|build-snapshot)/;

// Options whose value is the next argument, so that it is not taken for the script.
const WITH_VALUE = new Set([
  '-r',
  '--require',
  '--import',
  '-e',
  '--eval',
  '-p',
  '--print',
  '-pe',
  '-C',
  '--conditions',
  '--loader',
  '--experimental-loader',
  '--title',
  '--input-type',
  '--icu-data-dir',
  '--test-name-pattern',
]);

/**
 * Node's own options among a child's arguments: all before the script. An argument behind an option that we do not
 * know may be its value and not the script; then those behind it count as well, which at worst costs the native wire.
 */
function nodeOptionsOf(args) {
  const options = [];
  let mayBeValue = false;
  for (let i = 0; i < args.length; i++) {
    const option = String(args[i]); // it may be a Buffer
    const isOption = option.startsWith('-');
    if (option === '--' || (!isOption && !mayBeValue)) break;
    if (isOption) options.push(option);
    if (WITH_VALUE.has(option)) i++;
    mayBeValue = isOption && !WITH_VALUE.has(option) && !option.includes('=');
  }
  return options;
}

function hasForbiddenOption(args, nodeOptions) {
  const given = [...nodeOptionsOf(args), ...nodeOptions.split(/[\s"]+/)];
  return given.some((option) => FORBIDDEN.test(option)) || args[0] === 'inspect';
}

/** The file that execvp() will find, with the child's PATH and working directory; null when there is none. */
function findProgram(file, envPairs, cwd) {
  const folder = cwd ?? nodeProcess.cwd();
  if (file.includes('/')) return path.resolve(folder, file);
  for (const entry of (valueIn(envPairs, 'PATH') ?? '').split(':')) {
    const candidate = path.resolve(folder, entry, file);
    try {
      fs.accessSync(candidate, fs.constants.X_OK);
      return candidate;
    } catch {
      // Not here; the next folder of PATH may have it.
    }
  }
  return null;
}

const comparisons = new Map(); // identity of a file -> whether it equals this Node

function hasSameBytes(file, status) {
  const self = fs.statSync(nodeProcess.execPath);
  if (status.dev === self.dev && status.ino === self.ino) return true;
  if (status.size !== self.size || !status.isFile()) return false;
  const identity = `${status.dev}:${status.ino}:${status.mtimeMs}:${status.size}`;
  if (!comparisons.has(identity)) {
    comparisons.set(identity, fs.readFileSync(file).equals(fs.readFileSync(nodeProcess.execPath)));
  }
  return comparisons.get(identity);
}

/** Whether the program is this Node, or a copy of it. */
function isThisNode(file, envPairs, cwd, isPrivileged) {
  const program = findProgram(file, envPairs, cwd);
  if (!program) return false;
  try {
    return hasSameBytes(program, fs.statSync(program)) && !isPrivileged(program);
  } catch {
    return false; // it cannot be read: spawn() will say so
  }
}

function detectSingleExecutable() {
  try {
    return require('node:sea').isSea();
  } catch {
    return false; // a Node without that module
  }
}

const isSingleExecutable = detectSingleExecutable();

/**
 * 'native' or 'node'.
 * @param options what ChildProcess.prototype.spawn() got
 * @param slot the index of 'ipc' in its stdio
 * @param isPrivileged (path) => whether the kernel makes that program ignore NODE_OPTIONS
 */
function chooseWire(options, slot, isPrivileged) {
  const { channel, envPairs, file, cwd, uid, gid } = options;
  if (channel !== undefined) {
    if (channel === 'native' || channel === 'node') return channel;
    throw invalidArgValue(
      'options.channel',
      "must be one of: undefined, 'native', 'node'",
      channel,
    );
  }
  if (slot < FIRST_FREE_INDEX || uid != null || gid != null) return 'node';
  if (nodeProcess.versions.electron || isSingleExecutable) return 'node';
  const args = (options.args ?? []).slice(1);
  if (hasForbiddenOption(args, valueIn(envPairs, 'NODE_OPTIONS') ?? '')) return 'node';
  return isThisNode(file, envPairs, cwd, isPrivileged) ? 'native' : 'node';
}

/** Whether a program is Node, as far as its name tells: then its own death is the end of its channel. Anything else may be
 * a wrapper whose child has the channel. */
function isNamedNode(file) {
  const name = path.basename(file);
  return /^node(js)?$/.test(name) || name === path.basename(nodeProcess.execPath);
}

module.exports = { chooseWire, isNamedNode };
