'use strict';

// Nothing that was accepted is lost because the process ends: before it does, every channel is written out,
// within limits. process.exit(), an uncaught error and the end of the script emit 'exit'; process.reallyExit(),
// process.abort(), process.execve() and a signal to oneself do not. All of them are methods of `process`
// that are wrapped: a listener would be counted where the program counts its own
// (MaxListenersExceededWarning), and be gone with removeAllListeners(). Where a program takes that wrapper
// away again, the addon still flushes at the end of the script, of the Worker, and in exit(3); callbacks
// that are due then are not called.

const { nodeProcess } = require('./primordials');

// Sent to oneself, these neither end nor stop the process.
const HARMLESS = new Set(['SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH', 'SIGUSR1']);

let isInstalled = false;

function wrap(name, before) {
  const original = nodeProcess[name];
  function wrapped(...args) {
    before(...args);
    return Reflect.apply(original, this, args);
  }
  Object.defineProperty(wrapped, 'name', { __proto__: null, value: name });
  // As far as it can be: a program may have frozen `process`.
  const attributes = { __proto__: null, value: wrapped, writable: true, configurable: true };
  Reflect.defineProperty(nodeProcess, name, attributes);
}

function nameOfSignal(signal = 'SIGTERM') {
  if (typeof signal === 'string') return signal;
  const { signals } = require('node:os').constants;
  return Object.keys(signals).find((name) => signals[name] === signal);
}

/** Whether process.kill(pid, signal) will, as far as can be told, end or stop this process, which is of the group `ownGroup`. */
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
  wrap('emit', (event) => {
    if (event !== 'exit') return;
    flushAll(true);
    finishAll();
  });
  if (nodeProcess.abort?.disabled === true) return; // in a Worker these do not exist, or end only it
  wrap('reallyExit', () => flushAll(true));
  wrap('abort', () => flushAll(true));
  if (nodeProcess.execve) wrap('execve', () => flushAll(false)); // it may refuse what it was given
  wrap('kill', (pid, signal) => {
    if (isSuicide(pid, signal, processGroup())) flushAll(false);
  });
}

module.exports = { flushAtExit };
