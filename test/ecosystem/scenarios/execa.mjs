// execa's IPC API: messages, iteration, the result's ipcOutput, and a child that disconnects.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { execaNode } from 'execa';

const child = fileURLToPath(new URL('execa-child.mjs', import.meta.url));

for (const serialization of ['json', 'advanced']) {
  const subprocess = execaNode(child, { ipc: true, serialization });
  const protocol = subprocess.getOneMessage();
  assert.equal(await protocol, 'native');
  await subprocess.sendMessage({ count: 100 });
  const received = [];
  for await (const message of subprocess.getEachMessage()) received.push(message);
  assert.deepEqual(received, [...Array(100).keys(), 'last']);
  const { ipcOutput } = await subprocess;
  assert.equal(ipcOutput.length, 102);
}

const exchanging = execaNode(child, { ipc: true });
assert.equal(await exchanging.getOneMessage(), 'native');
await exchanging.sendMessage({ count: 0 }, { strict: true });
await exchanging;

console.log('all passed');
