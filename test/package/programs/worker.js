'use strict';

// A Worker that forks.

const { Worker, isMainThread } = require('node:worker_threads');

if (process.send) {
  process.on('message', (message) => {
    process.send(message);
    process.disconnect();
  });
} else if (isMainThread) {
  new Worker(__filename);
} else {
  const child = require('forkwire').fork(__filename);
  const { protocol } = child.channel;
  child.on('message', (message) => console.log(protocol, message));
  child.send('hello');
}
