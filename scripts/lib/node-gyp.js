'use strict';

// Runs the node-gyp of this checkout with the running Node.

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { BuildError } = require('./say.js');

// node-gyp lets these win over its arguments; headers.js has already looked at them.
const DECIDED_HERE = /^npm_(config|package_config_node_gyp)_(nodedir|devdir)$/i;

function nodeGypScript() {
  try {
    require.resolve('node-addon-api/napi.h');
    return require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    throw new BuildError(
      'the addon cannot be built without the development dependencies node-gyp and node-addon-api: ' +
        'run "npm install" in this folder without --omit=dev.',
    );
  }
}

/** binding.gyp runs `node`: it shall be the one that runs this. */
function environment(env, execPath) {
  const kept = Object.entries(env).filter(([name]) => !DECIDED_HERE.test(name));
  const search = [path.dirname(execPath), env.PATH].filter(Boolean).join(path.delimiter);
  return { ...Object.fromEntries(kept), PATH: search };
}

/** Returns whether node-gyp succeeded; what it says goes to the terminal. */
function runNodeGyp(args, { env, execPath, cwd }) {
  const result = spawnSync(execPath, [nodeGypScript(), ...args], {
    cwd,
    env: environment(env, execPath),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return result.status === 0;
}

module.exports = { nodeGypScript, runNodeGyp };
