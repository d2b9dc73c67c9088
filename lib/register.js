'use strict';

// `node --require forkwire/register app.js`: from here on every fork(), spawn() with an 'ipc' entry and
// cluster.fork() of this process uses forkwire's channel, and so do its children. Most processes never start a child:
// as a preload this file costs them next to nothing, and everything else is loaded when the first child is started.

const GUARD = Symbol.for('forkwire');
const HOOK_VERSION = 1;

const hasChannel = (options) => Array.isArray(options?.stdio) && options.stdio.includes('ipc');

/** The result of `loadFile`, which needs the addon, or null where addons are forbidden (--permission, --no-addons): Node's own
 * channel has to do there. */
function ifAllowed(loadFile) {
  try {
    return loadFile();
  } catch (error) {
    if (error.cause?.code === 'ERR_DLOPEN_DISABLED') return null;
    throw error;
  }
}

let ours;

function loadOurs() {
  ours ??= ifAllowed(() => require('./spawn'));
  return ours;
}

/** Two copies, two versions, or a module registry of a test runner: the first one hooks. The mark is on the class, which
 * is the same for all of them; test runners have copies of `process`. */
function hook() {
  const { ChildProcess } = require('node:child_process');
  if (ChildProcess[GUARD]?.version === HOOK_VERSION) return;
  Object.defineProperty(ChildProcess, GUARD, {
    __proto__: null,
    value: { version: HOOK_VERSION },
    configurable: true,
  });
  const { spawn: original } = ChildProcess.prototype;
  ChildProcess.prototype.spawn = function spawn(options) {
    const { spawnChild } = (hasChannel(options) && loadOurs()) || {};
    if (!spawnChild) return Reflect.apply(original, this, [options]);
    return spawnChild(this, options, __filename, original);
  };
}

/** child_process takes longer to load than all that is ours. Every ChildProcess is announced before its spawn(). */
function hookFirstChild() {
  require('node:diagnostics_channel').subscribe('child_process', hook);
  // Whoever wraps spawn() as well finds ours there: this cache is asked before child_process is loaded.
  Object.defineProperty(require.cache, 'child_process', {
    __proto__: null,
    get() {
      delete require.cache.child_process;
      hook();
    },
    configurable: true,
  });
}

/** Whether Node made a channel of its own. In a Worker this property is a getter that throws. */
const hasNodeChannel = () => Boolean(Object.getOwnPropertyDescriptor(process, 'channel')?.value);

/** A require() that Node's loader of ES modules makes for CommonJS has no cache, and is none of a preload. */
const isPreload = require.main === undefined && require.cache !== undefined;

/** A program's require() may be a test runner's, which has a registry of its own. */
const load = (name) => (isPreload ? require('./loader').load(name, module) : require(name));

function takeAnyChannel() {
  if (!load('./node-internals').isMainThread()) return; // as lib/preload.js
  const { takeChannel, takeNodeChannel } = load('./child');
  takeChannel(__filename);
  if (hasNodeChannel()) ifAllowed(takeNodeChannel);
  if (isPreload) require('./loader').readAhead();
}

if (process.env.FORKWIRE_CHANNEL !== undefined || hasNodeChannel()) takeAnyChannel();

if (isPreload) {
  require('./primordials'); // before the program can replace any of it
  hookFirstChild();
} else {
  // A program asks for it. Its module registry may be gone when the first child is started, as in test runners.
  loadOurs();
  hook();
}
