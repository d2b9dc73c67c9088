'use strict';

// Workloads of fresh processes: each sample is a process tree of its own, from its start to its end. What a user gets in the
// first second is not what a warm stream gets.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { createInterface } = require('node:readline');

const FOLDER = path.join(__dirname, '../cold');
const REGISTER = path.join(__dirname, '../../lib/register.js');
const CONCURRENCY = 16;

/** Opens `count` connections, which the other side closes. */
function hold({ port }, count) {
  for (let i = 0; i < count; i++) {
    net
      .connect(port, '127.0.0.1')
      .on('error', () => {})
      .resume();
  }
}

/** Has `count` connections answered, some at a time. */
function greet({ port }, count) {
  let begun = 0;
  const connect = () => {
    if (begun++ >= count) return;
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', connect);
    socket.resume();
  };
  for (let i = 0; i < CONCURRENCY; i++) connect();
}

const clients = { hold, greet };

/** One sample of a subject: the object that the tree printed last. */
async function runTree({ tree }, subject) {
  const { file = 'parent.js', mode, count, client, isRegistered } = tree;
  const script = path.join(FOLDER, file);
  const preload = isRegistered && subject === 'forkwire' ? ['--require', REGISTER] : [];
  const args = [...preload, script, subject, mode ?? '', String(count)];
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(process_, 'exit');
  let result;
  for await (const line of createInterface({ input: process_.stdout })) {
    const value = JSON.parse(line);
    if (value.port) clients[client](value, count);
    else result = value;
  }
  const [code, signal] = await exited;
  if (code !== 0 || !result) throw new Error(`${file} ${args.join(' ')} ended: ${signal ?? code}`);
  return result;
}

module.exports = { runTree };
