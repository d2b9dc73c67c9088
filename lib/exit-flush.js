'use strict';

// Nothing that was accepted is lost because the process ends: before it does, every channel is written out,
// within limits. process.exit(), an uncaught error and the end of the script emit 'exit'; process.reallyExit(),
// process.abort() and a signal to oneself do not, so they are wrapped.

const os = require('node:os');

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
  const original = process[name];
  process[name] = function (...args) {
    before(...args);
    return Reflect.apply(original, this, args);
  };
  Object.defineProperty(process[name], 'name', { value: name });
}

function nameOfSignal(signal = 'SIGTERM') {
  if (typeof signal === 'string') return signal;
  return Object.keys(os.constants.signals).find((name) => os.constants.signals[name] === signal);
}

/** Whether process.kill(pid, signal) will, as far as can be told, end this process. */
function isSuicide(pid, signal) {
  const isOurs = pid === process.pid || pid === 0; // 0: the whole process group
  if (!isOurs || signal === 0) return false;
  const name = nameOfSignal(signal);
  return name !== undefined && !HARMLESS.has(name) && process.listenerCount(name) === 0;
}

/** Has `flushAll(isFinal)` run before the process exits. */
function flushAtExit(flushAll) {
  if (isInstalled) return;
  isInstalled = true;
  process.on('exit', () => flushAll(true));
  if (!require('node:worker_threads').isMainThread) return; // in a Worker these do not exist, or end only it
  wrap('reallyExit', () => flushAll(true));
  wrap('abort', () => flushAll(true));
  wrap('kill', (pid, signal) => {
    if (isSuicide(pid, signal)) flushAll(false);
  });
}

module.exports = { flushAtExit };
