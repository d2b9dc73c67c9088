'use strict';

// The programs that are run with the installed package, and what each of them prints.

const fs = require('node:fs');
const path = require('node:path');

const FOLDER = path.join(__dirname, 'programs');
const REGISTER = ['--require', 'forkwire/register'];

// name -> [options of Node, output]
const PROGRAMS = {
  'socket.js': [[], 'native child parent\n'],
  'register.js': [REGISTER, 'native hello\n'],
  'cluster.js': [REGISTER, 'native native 2\n'],
  'worker.js': [[], 'native hello\n'],
  'module.mjs': [[], 'native hello true true\n'],
};

function copyPrograms(folder) {
  for (const name of Object.keys(PROGRAMS)) {
    fs.copyFileSync(path.join(FOLDER, name), path.join(folder, name));
  }
}

module.exports = { PROGRAMS, copyPrograms };
