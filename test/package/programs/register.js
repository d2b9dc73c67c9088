'use strict';

// Node's own fork(), under `--require forkwire/register`.

const { fork } = require('node:child_process');

if (process.argv[2] === 'child') {
  process.on('message', (message) => {
    process.send([message, process.channel.protocol]);
    process.disconnect();
  });
} else {
  const child = fork(__filename, ['child']);
  child.on('message', ([message, protocol]) => console.log(protocol, message));
  child.send('hello');
}
