// An unchanged program in TypeScript: tsx compiles it, and what it forks.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

const { checkWire } = require('./wire') as { checkWire: (channel: unknown) => void };

interface Job {
  id: number;
  text: string;
}

enum Role {
  Child = 'child',
}

async function answerOf(port: number): Promise<string> {
  let text = '';
  for await (const chunk of connect(port, '127.0.0.1').setEncoding('utf8')) text += chunk;
  return text;
}

async function main(): Promise<void> {
  const child: ChildProcess = fork(__filename, [Role.Child]);
  checkWire(child.channel);
  for (let id = 0; id < 10; id++) {
    child.send({ id, text: 'x'.repeat(id) } satisfies Job);
    const [{ length }] = (await once(child, 'message')) as [{ length: number }];
    console.log(id, length);
  }
  const server = createServer((socket: Socket) => child.send('socket', socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  console.log(await answerOf((server.address() as { port: number }).port));
  server.close();
  child.disconnect();
  console.log('exit', (await once(child, 'exit'))[0]);
  console.log('all passed');
}

if (process.argv[2] === Role.Child) {
  process.on('message', (message: Job | string, socket?: Socket) => {
    if (socket) socket.end('from TypeScript');
    else if (typeof message === 'object') process.send?.({ length: message.text.length });
  });
} else main();
