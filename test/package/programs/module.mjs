// `import`, by name and as default, in parent and child.

import { fileURLToPath } from 'node:url';
import forkwire, { ChildProcess, fork } from 'forkwire';

if (process.send) {
  process.on('message', (message) => {
    process.send(message);
    process.disconnect();
  });
} else {
  const child = fork(fileURLToPath(import.meta.url));
  const { protocol } = child.channel;
  child.on('message', (message) => {
    console.log(protocol, message, forkwire.fork === fork, child instanceof ChildProcess);
  });
  child.send('hello');
}
