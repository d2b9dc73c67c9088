'use strict';

// The parent of one fresh process tree: starts a child, exchanges `count` messages or connections with it, prints what that
// cost, and ends. bench/lib/tree.js runs it: parent.js <subject> <mode> <count>. Nothing is loaded here that the subject does
// not need, since loading is part of what is measured.

const [subject, mode, number] = process.argv.slice(2);
const count = Number(number);

const usage = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const beforeRequire = usage();
const childProcess = require(subject === 'forkwire' ? '../..' : 'node:child_process');
const requireCpu = usage() - beforeRequire;

const object = (i) => ({ id: i, type: 'job', payload: { a: 1, b: 'two' } });
const text = 'x'.repeat(1 << 20);
const document = (i) => ({ id: i, data: `${i}${text}` });

const makers = { strings: document };
const make = makers[mode] ?? object;

const started = { cpu: usage(), time: process.hrtime.bigint() };
const child = childProcess.fork(`${__dirname}/child.js`, [mode]);
const up = {};
let sent = 0;

const sendNext = () => child.send(sent < count ? make(sent++) : 'end');

/** Sends everything, one message for each call of `later`. */
function sendSpread(later) {
  const step = () => {
    sendNext();
    if (sent < count) later(step);
    else child.send('end');
  };
  step();
}

const modes = {
  ping: sendNext,
  turn: () => sendSpread(setImmediate),
  slow: () => sendSpread((step) => setTimeout(step, 2)),
  strings: () => sendSpread(setImmediate),
  burst() {
    while (sent < count) child.send(make(sent++));
    child.send('end');
  },
  /** Hands over connections that are there already: how they come to be is not measured. */
  sockets() {
    const sockets = [];
    const server = require('node:net').createServer({ pauseOnConnect: true }, (socket) => {
      if (sockets.push(socket) < count) return;
      begin();
      for (const [i, each] of sockets.entries()) child.send(i, each);
      child.send('end');
      server.close();
    });
    server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())));
  },
};

function begin() {
  up.cpu = usage();
  up.time = process.hrtime.bigint();
}

function report(done) {
  const cpu = usage() - up.cpu + done.cpu;
  const result = {
    count,
    cpu,
    wall: Number(process.hrtime.bigint() - up.time) / 1e6,
    requireCpu: requireCpu / 1000,
    startCpu: (up.cpuAtStart - started.cpu + done.cpuBefore) / 1000,
    startTime: up.startTime,
    treeCpu: (usage() + done.cpuBefore + done.cpu) / 1000,
  };
  console.log(JSON.stringify(result));
  child.disconnect();
}

child.on('message', (message) => {
  if (message.isUp) {
    up.startTime = Number(process.hrtime.bigint() - started.time) / 1e6;
    up.cpuAtStart = usage();
    begin();
    modes[mode]();
  } else if (message.isDone) report(message);
  else sendNext();
});
