'use strict';

// Programs that are started plainly and run to their end, for what must be seen from outside: output, exit code.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { fixture } = require('./fork-fixture');

async function textOf(stream) {
  let text = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) text += chunk;
  return text;
}

/** Resolves to { code, signal, stdout, stderr, pid }. */
async function run(command, args, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, signal, stdout, stderr, pid: child.pid };
}

/** The command line for a Node that runs `body`, see forkFunction(). */
function functionArgs(body, given = []) {
  return [fixture('run-function.js'), body.toString(), JSON.stringify(given)];
}

/**
 * runFunction([options, ] body): runs `body` in a Node of its own. `options.with`: its arguments; `options.nodeArgs`:
 * options of Node.
 */
function runFunction(...args) {
  const body = args.pop();
  const { with: given, nodeArgs = [], ...options } = args[0] ?? {};
  return run(process.execPath, [...nodeArgs, ...functionArgs(body, given)], options);
}

module.exports = { functionArgs, run, runFunction };
