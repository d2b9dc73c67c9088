'use strict';

// The two ends of what is compared, with one face: send(message, handle, callback) and a handler for what arrives.
// Subjects: stock child_process, forkwire, the pure JavaScript trick (coalescing.js), MessagePort of worker_threads.

const childProcess = require('node:child_process');
const path = require('node:path');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { CoalescingStream } = require('./coalescing');

const CHILD = path.join(__dirname, 'child.js');

/** A ChildProcess, or process. */
class ProcessEndpoint {
  constructor(target) {
    this.target = target;
  }

  onMessage(handler) {
    this.target.on('message', handler);
  }

  send(message, handle, callback) {
    return this.target.send(message, handle, callback);
  }

  close() {
    if (this.target.connected) this.target.disconnect();
  }
}

/** A stream to the other process, instead of its channel. */
class StreamEndpoint {
  #stream;

  constructor(socket) {
    this.#stream = new CoalescingStream(socket);
  }

  onMessage(handler) {
    this.#stream.onMessage = handler;
  }

  send(message, _handle, callback) {
    this.#stream.send(message);
    if (callback) process.nextTick(callback, null);
    return true;
  }

  close() {
    this.#stream.end();
  }
}

/** A Worker, or the port to its parent. */
class PortEndpoint {
  constructor(port) {
    this.port = port;
  }

  onMessage(handler) {
    this.port.on('message', handler);
  }

  send(message, _handle, callback) {
    this.port.postMessage(message);
    if (callback) process.nextTick(callback, null);
    return true;
  }

  close() {
    if (this.port instanceof Worker) this.port.terminate();
    else this.port.close();
  }
}

/** fork() of a subject that has one. */
function forkOf(subject) {
  return subject === 'forkwire' ? require('../..').fork : childProcess.fork;
}

/** Starts bench/lib/child.js for a workload; gives the parent's end. */
function connect(subject, workload, options) {
  const args = [workload, subject];
  if (subject === 'port') return new PortEndpoint(new Worker(CHILD, { workerData: args }));
  if (subject === 'coalescing') {
    const child = childProcess.spawn(process.execPath, [CHILD, ...args], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    });
    return new StreamEndpoint(child.stdio[3]);
  }
  return new ProcessEndpoint(forkOf(subject)(CHILD, args, options));
}

/** In the child: { workload, subject, endpoint }. */
function fromParent() {
  const [workload, subject] = isMainThread ? process.argv.slice(2) : workerData;
  if (subject === 'port') return { workload, subject, endpoint: new PortEndpoint(parentPort) };
  if (subject === 'coalescing') {
    const { Socket } = require('node:net');
    return { workload, subject, endpoint: new StreamEndpoint(new Socket({ fd: 3 })) };
  }
  return { workload, subject, endpoint: new ProcessEndpoint(process) };
}

module.exports = { CHILD, ProcessEndpoint, connect, forkOf, fromParent };
