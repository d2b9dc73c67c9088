'use strict';

// `node --require forkwire/register app.js`: from here on every fork(), spawn() with an 'ipc' entry and
// cluster.fork() of this process uses forkwire's channel, and so do its children. Most processes never start a child:
// as a preload this file costs them next to nothing, and everything else is loaded when the first child is started.

if (typeof __filename !== 'string') require('./loader'); // a bundle: it says what to do

const fs = require('node:fs');

const GUARD = Symbol.for('forkwire');
const HOOK_VERSION = 1;

const hasChannel = (options) => Array.isArray(options?.stdio) && options.stdio.includes('ipc');

/** A require() that Node's loader of ES modules makes for CommonJS has no cache, and is none of a preload. */
const isBeforeMain = require.main === undefined;
const isPreload = isBeforeMain && require.cache !== undefined;

/** What tells this file from another that took its place; '' where it is gone. */
function identityOf(file) {
  try {
    const { dev, ino, size, mtimeMs } = fs.statSync(file);
    return `${dev}:${ino}:${size}:${mtimeMs}`;
  } catch {
    return '';
  }
}

const identity = isPreload ? identityOf(__filename) : '';

/** Whether children that load this file get what this process has. */
const isIntact = () => identity === '' || identityOf(__filename) === identity;

// ---------------------------------------------------------------- where forkwire cannot be

let isWarned = false;

/** Once a process: somebody put forkwire before this program, which knows nothing of it and is to run all the same. */
function warnOf(error) {
  if (isWarned) return;
  isWarned = true;
  const message = `Node's own channel is used instead of forkwire's. ${error.message}`;
  process.emitWarning(message, { type: 'ForkwireWarning', code: error.code });
}

/**
 * { loaded: the result of `action`, which needs the addon } or { reason: why Node's own channel has to do, error: that its
 * user should hear of, or null }. Throws where a program asked for forkwire itself, and it is not there.
 */
function ifPossible(action) {
  try {
    return { loaded: action() };
  } catch (error) {
    const isForbidden = error.cause?.code === 'ERR_DLOPEN_DISABLED'; // --permission, --no-addons
    if (!isForbidden && !isBeforeMain) throw error;
    return { reason: error.message, error: isForbidden ? null : error };
  }
}

/** Node's own channel says why it is that. */
function explain(channel, reason) {
  if (!channel || !reason) return;
  Object.defineProperty(channel, 'protocolReason', { value: reason, configurable: true });
  require('node:util').debuglog('forkwire')(`fd ${channel.fd} on Node's own channel: ${reason}`);
}

// ---------------------------------------------------------------------- children

const load = (name) => require('./loader').load(name, module);

function loadSpawn() {
  return load('./spawn');
}

let ours;

/** As ifPossible() gives it: './spawn'. */
function loadOurs() {
  if (ours) return { loaded: ours };
  if (!isIntact()) {
    return { reason: `${__filename} was replaced or removed since this process started` };
  }
  const outcome = ifPossible(loadSpawn);
  ours = outcome.loaded;
  if (outcome.error) warnOf(outcome.error);
  return outcome;
}

const PRELOADING = ['--require', '-r', '--import'];

/** How the options of children say `file`. */
const namesOf = (file) => [file, require('node:url').pathToFileURL(file).href];

function argumentsWithout(names, args) {
  const isOurs = (text) => names.includes(text);
  return args.filter((argument, i) => {
    const isName = PRELOADING.includes(args[i - 1]) && isOurs(argument);
    const hasName = PRELOADING.includes(argument) && isOurs(args[i + 1]);
    const isBoth = /^--(require|import)=/.test(argument) && isOurs(argument.replace(/^.*?=/, ''));
    return !isName && !hasName && !isBoth;
  });
}

function nodeOptionsWithout(names, text) {
  const literals = names.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  const pattern = `(?:--require|-r|--import)[ =]+"?(?:${literals.join('|')})"?(?: |$)`;
  return text.replace(new RegExp(pattern, 'g'), '');
}

/** This file was there when the program was started with it. It is not now, and a child that is to load it would end. */
function leaveOut(options) {
  const names = namesOf(__filename);
  const { args, envPairs } = options ?? {};
  if (Array.isArray(args)) options.args = argumentsWithout(names, args);
  if (!Array.isArray(envPairs)) return;
  options.envPairs = envPairs.map((pair) =>
    `${pair}`.startsWith('NODE_OPTIONS=') ? nodeOptionsWithout(names, pair) : pair,
  );
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
    if (!isIntact()) leaveOut(options);
    if (!hasChannel(options)) return Reflect.apply(original, this, [options]);
    const { loaded, reason } = loadOurs();
    // The program's options are Node's: one that has the name of one of forkwire's is none of it.
    if (loaded) return loaded.spawnChild(this, options, __filename, null, original);
    const status = Reflect.apply(original, this, [options]);
    explain(this.channel, reason);
    return status;
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

// ------------------------------------------------------------- this process's channel

/** Whether Node made a channel of its own. In a Worker this property is a getter that throws. */
const hasNodeChannel = () => Boolean(Object.getOwnPropertyDescriptor(process, 'channel')?.value);

/** Gives why Node's own channel stays, if it does. */
function takeAnyChannel() {
  if (!load('./node-internals').isMainThread()) return undefined; // as lib/preload.js
  const { takeChannel, takeNodeChannel } = load('./child');
  takeChannel(__filename);
  const reason = hasNodeChannel() ? takeNodeChannel() : undefined;
  return reason;
}

// ------------------------------------------------------------------ how it was named

/** Children inherit what named this file, and the addon, and may be started in another folder, where that means nothing. */
function nameAbsolutely() {
  const { FORKWIRE_BINARY, NODE_OPTIONS = '' } = process.env;
  // By the name of a package, a relative path, a link: whatever is not this file's own name.
  const isNamed = (text) => text.replaceAll(__filename, '').includes('register');
  if ([NODE_OPTIONS, ...process.execArgv].some(isNamed))
    load('./absolute-names').nameAbsolutely(process, __filename);
  if (FORKWIRE_BINARY) process.env.FORKWIRE_BINARY = require('node:path').resolve(FORKWIRE_BINARY);
}

if (process.env.FORKWIRE_CHANNEL !== undefined) {
  takeAnyChannel();
} else if (hasNodeChannel()) {
  const { loaded: isLeftSince, reason } = ifPossible(takeAnyChannel);
  explain(process.channel, reason ?? isLeftSince);
}
nameAbsolutely();

if (isPreload) {
  require('./primordials'); // before the program can replace any of it
  hookFirstChild();
} else {
  // A program asks for it. Its module registry may be gone when the first child is started, as in test runners.
  loadOurs();
  hook();
}
