// The same package by `import`.

import 'forkwire/register';
import type childProcess from 'node:child_process';
import forkwire, { exec, type ForkedChild, fork } from 'forkwire';

const child: ForkedChild<{ n: bigint }, string, 'advanced'> = fork(
  new URL('child.mjs', import.meta.url),
  {
    serialization: 'advanced',
  },
);
child.send({ n: 1n });
child.on('message', (text) => text.length);

const asNode: childProcess.ChildProcess = forkwire.fork('child.js');
asNode.on('close', (code) => process.exit(code ?? 1));
exec('true', (error) => error?.code);
