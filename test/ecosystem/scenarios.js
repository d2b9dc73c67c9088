'use strict';

// name -> { packages: pinned versions, omitOptional: without what those have for some hosts, node: the version it needs if
// not every one does, args of Node, expected: what it prints, isCompared: whether it is to print the same on stock Node }. The
// programs are in scenarios/, which is copied beside the installed packages.

const NODE = '24';
const PASSED = /all passed/;

const SCENARIOS = {
  execa: {
    packages: { execa: '10.2.1' },
    node: NODE,
    args: ['scenarios/execa.mjs'],
    expected: PASSED,
  },
  tinypool: {
    packages: { tinypool: '2.2.0' },
    args: ['scenarios/tinypool.mjs'],
    expected: PASSED,
  },
  workerpool: {
    packages: { workerpool: '10.0.3' },
    args: ['scenarios/workerpool.js'],
    expected: PASSED,
  },
  'jest-worker': {
    packages: { 'jest-worker': '30.5.1' },
    args: ['scenarios/jest-worker.js'],
    expected: PASSED,
  },
  sticky: {
    packages: { '@socket.io/sticky': '2.0.1', 'socket.io': '4.8.4', 'socket.io-client': '4.8.4' },
    args: ['scenarios/sticky.js'],
    expected: PASSED,
  },
  deasync: {
    packages: { deasync: '0.1.30' }, // with a binary for this Node; on others it would have to be compiled
    node: '20',
    args: ['scenarios/deasync.js'],
    expected: PASSED,
    isCompared: true,
  },
  throng: { packages: { throng: '5.0.0' }, args: ['scenarios/throng.js'], expected: PASSED },
  bundlers: {
    packages: {
      '@rollup/plugin-commonjs': '29.0.3',
      '@rollup/plugin-node-resolve': '16.0.3',
      '@vercel/ncc': '0.45.0',
      esbuild: '0.28.2',
      postject: '1.0.0-alpha.6',
      rollup: '4.68.8',
      webpack: '5.113.0',
    },
    args: ['scenarios/bundlers.js'],
    expected: PASSED,
  },
  sinon: {
    packages: { sinon: '22.1.0' },
    args: ['scenarios/sinon.js'],
    expected: PASSED,
    isCompared: true,
  },
  'jest-timers': {
    packages: { jest: '30.5.2' },
    args: [
      'node_modules/jest/bin/jest.js',
      '--workers=2',
      '--rootDir',
      'scenarios/runners/jest-timers',
    ],
    expected: /^/,
    isCompared: true,
  },
  pm2: {
    packages: { pm2: '7.0.4' },
    args: ['scenarios/pm2.js'],
    expected: PASSED,
    isCompared: true,
  },
  ws: {
    packages: { ws: '8.23.0' },
    args: ['scenarios/ws.js'],
    expected: PASSED,
    isCompared: true,
  },
  tsx: {
    packages: { tsx: '4.23.15' },
    args: ['node_modules/tsx/dist/cli.mjs', 'scenarios/tsx-app.ts'],
    expected: PASSED,
    isCompared: true,
  },
  'node-options': {
    packages: { next: '16.4.6' },
    omitOptional: true,
    args: ['scenarios/node-options.js'],
    expected: PASSED,
    isCompared: true,
  },
  'read-only': { packages: {}, args: ['scenarios/read-only.js'], expected: PASSED },
  mocha: {
    packages: { mocha: '12.0.3' },
    args: [
      'node_modules/mocha/bin/mocha.js',
      '--parallel',
      '--jobs',
      '2',
      'scenarios/runners/mocha/*.js',
    ],
    expected: /4 passing/,
  },
  vitest: {
    packages: { vitest: '5.1.1' },
    node: NODE,
    args: [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--pool=forks',
      '--dir',
      'scenarios/runners/vitest',
    ],
    expected: /Tests +4 passed/,
  },
  jest: {
    packages: { jest: '30.5.2' },
    args: ['node_modules/jest/bin/jest.js', '--workers=2', '--rootDir', 'scenarios/runners/jest'],
    expected: /^/, // it reports on stderr; the exit code tells
  },
  ava: {
    packages: { ava: '7.0.0' },
    args: [
      'node_modules/ava/entrypoints/cli.mjs',
      '--no-worker-threads',
      'scenarios/runners/ava/*.test.js',
    ],
    expected: /4 tests passed/,
  },
};

module.exports = { SCENARIOS };
