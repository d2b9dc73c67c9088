'use strict';

// The child of parent.js: answers in mode 'ping', else only receives; its last word is what it used.

const [mode] = process.argv.slice(2);

const usage = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

let cpuBefore = 0;
const held = [];

process.on('message', (message, handle) => {
  if (message === 'end') {
    process.send({ isDone: true, cpuBefore, cpu: usage() - cpuBefore });
    for (const socket of held) socket.destroy();
  } else if (handle) held.push(handle);
  else if (mode === 'ping') process.send(message);
});
process.send({ isUp: true });
cpuBefore = usage();
