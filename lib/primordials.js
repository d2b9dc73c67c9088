'use strict';

// What forkwire uses of its surroundings that a program may replace, as it was when forkwire was loaded: fake timers hold
// ticks back, a test makes a `process` of its own, a bundler's shim a JSON. Stock's channel does not feel most of
// that either. This is the first file that is loaded, also by a preload that loads nothing else, so it costs next to nothing.

const { clearTimeout, setImmediate, setTimeout } = require('node:timers');

const isNodes = (given) => typeof given?.nextTick === 'function' && given.versions !== undefined;

// Node's own modules take longer to load than the globals.
// Not named `process`: some test runners give each file one, as a parameter.
const nodeProcess = isNodes(globalThis.process) ? globalThis.process : require('node:process');
const Buffer = globalThis.Buffer ?? require('node:buffer').Buffer;

const { arch, hrtime, nextTick, platform } = nodeProcess;
const { parse: JSONParse, stringify: JSONStringify } = JSON;

/** Milliseconds since some moment, which never go back. The global `performance` takes long to load. */
function now() {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** Sets a property as far as the object allows it: a program may have frozen `process`. */
const setProperty = Reflect.set;

module.exports = {
  Buffer,
  JSONParse,
  JSONStringify,
  arch,
  clearTimeout,
  nextTick,
  nodeProcess,
  now,
  platform,
  setImmediate,
  setProperty,
  setTimeout,
};
