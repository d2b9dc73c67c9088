/// <reference types="node" />

/**
 * `node --require forkwire/register app.js`, `node --import forkwire/register app.js`, or as the first line of a program
 * `require('forkwire/register')`: from then on every `child_process.fork()`, every `spawn()` with an `'ipc'` entry and every
 * `cluster.fork()` of this process uses forkwire's channel, and so do the Node children that are started that way. Two
 * copies or versions in one process agree: the first one hooks, the others do nothing.
 *
 * It exports nothing. Types of what it adds to a ChildProcess and to `process` are ForkedChild and ForkedProcess of
 * `forkwire`.
 */
export {};
