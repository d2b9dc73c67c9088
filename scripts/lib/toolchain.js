'use strict';

// Finds what node-gyp needs on the machine: Python, make, a C and a C++ compiler that work.

const { spawnSync } = require('node:child_process');
const { BuildError, listOf } = require('./say.js');

function succeeds(command, args, env, input) {
  return spawnSync(command, args, { env, input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
}

// A compiler without the C library's headers is as good as none.
function compiles(language, source) {
  return (command, env) => succeeds(command, ['-x', language, '-fsyntax-only', '-'], env, source);
}

const TOOLS = [
  {
    name: 'python3',
    variables: ['npm_config_python', 'NODE_GYP_FORCE_PYTHON', 'PYTHON'],
    commands: ['python3', 'python'],
    works: (command, env) =>
      succeeds(command, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))'], env),
    exportAs: 'NODE_GYP_FORCE_PYTHON',
  },
  {
    name: 'make',
    variables: ['MAKE'],
    commands: [process.platform.endsWith('bsd') ? 'gmake' : 'make'],
    works: (command, env) => succeeds(command, ['--version'], env),
    exportAs: 'MAKE',
  },
  {
    name: 'a C compiler',
    variables: ['CC'],
    commands: ['cc', 'gcc', 'clang'],
    works: compiles('c', '#include <stdlib.h>\n'),
    exportAs: 'CC',
  },
  {
    name: 'a C++ compiler',
    variables: ['CXX'],
    commands: ['c++', 'g++', 'clang++'],
    works: compiles('c++', '#include <memory>\n'),
    exportAs: 'CXX',
  },
];

function findTool(tool, env) {
  const given = tool.variables.map((name) => env[name]).find(Boolean);
  const commands = given ? [given] : tool.commands;
  return commands.find((command) => tool.works(command, env));
}

function hint() {
  if (process.platform !== 'linux') return '';
  return ' (Debian and Ubuntu: apt-get install python3 make g++)';
}

/** The variables that make node-gyp use what was found. Throws one sentence that names all that is missing. */
function findToolchain(env) {
  const found = TOOLS.map((tool) => [tool, findTool(tool, env)]);
  const missing = found.filter(([, command]) => !command).map(([tool]) => tool.name);
  if (missing.length > 0) {
    const verb = missing.length > 1 ? 'are' : 'is';
    throw new BuildError(`the addon cannot be built: ${listOf(missing)} ${verb} missing${hint()}.`);
  }
  return Object.fromEntries(found.map(([tool, command]) => [tool.exportAs, command]));
}

module.exports = { findToolchain };
