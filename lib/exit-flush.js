'use strict';

// Nothing that was accepted is lost because the process ends: before it does, every channel is written out,
// within limits. process.exit(), an uncaught error and the end of the script emit 'exit'; process.reallyExit(),
// process.abort() and a signal to oneself do not, so they are wrapped.

const { isMainThread } = require('./node-internals');
const { nodeProcess, setProperty } = require('./primordials');

// Sent to oneself, these do not end the process.
const HARMLESS = new Set([
  'SIGCHLD',
  'SIGCONT',
  'SIGSTOP',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGURG',
  'SIGWINCH',
  'SIGUSR1',
]);

let isInstalled = false;

function wrap(name, before) {
  const original = nodeProcess[name];
  function wrapped(...args) {
    before(...args);
    return Reflect.apply(original, this, args);
  }
  Object.defineProperty(wrapped, 'name', { __proto__: null, value: name });
  setProperty(nodeProcess, name, wrapped);
}

/** Adds a listener also where the program has frozen `process`: it is there then, though the count of them cannot change. */
function listen(name, listener) {
  try {
    nodeProcess.on(name, listener);
  } catch (error) {
    if (!Object.isFrozen(nodeProcess)) throw error;
  }
}

function nameOfSignal(signal = 'SIGTERM') {
  if (typeof signal === 'string') return signal;
  const { signals } = require('node:os').constants;
  return Object.keys(signals).find((name) => signals[name] === signal);
}

/** Whether process.kill(pid, signal) will, as far as can be told, end this process, which is of the group `ownGroup`. */
function isSuicide(pid, signal, ownGroup) {
  const isOurs = [nodeProcess.pid, 0, -ownGroup].includes(Number(pid)); // 0: its own group as well
  if (!isOurs || signal === 0) return false;
  const name = nameOfSignal(signal);
  return name !== undefined && !HARMLESS.has(name) && nodeProcess.listenerCount(name) === 0;
}

/**
 * Has `flushAll(isFinal)` run before the process exits. `processGroup()` gives the id of its process group; `finishAll()` runs
 * at 'exit', behind the flush: callbacks that are due then get no tick any more.
 */
function flushAtExit(flushAll, processGroup, finishAll = () => {}) {
  if (isInstalled) return;
  isInstalled = true;
  listen('exit', () => {
    flushAll(true);
    finishAll();
  });
  if (!isMainThread()) return; // in a Worker these do not exist, or end only it
  wrap('reallyExit', () => flushAll(true));
  wrap('abort', () => flushAll(true));
  wrap('kill', (pid, signal) => {
    if (isSuicide(pid, signal, processGroup())) flushAll(false);
  });
}

module.exports = { flushAtExit };
