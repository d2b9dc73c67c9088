// What the types promise, checked by tsd.

import type { ChildProcess } from 'node:child_process';
import * as dgram from 'node:dgram';
import * as net from 'node:net';
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd';
import {
  type Channel,
  exec,
  type ForkedChild,
  type ForkedProcess,
  fork,
  type Handle,
  type Received,
  type Sendable,
  spawn,
} from '../..';

interface Job {
  id: number;
  due: Date;
  note?: string;
}

interface Answer {
  id: number;
  ok: boolean;
}

// ------------------------------------------------------------------------------- without types of one's own

const plain = fork('child.js');
expectType<ForkedChild<any, any, 'json'>>(plain);
expectAssignable<ChildProcess>(plain);
expectType<boolean>(plain.send({ any: 'thing' }));
expectType<boolean>(plain.send('text', null, (error) => expectType<Error | null>(error)));
expectType<boolean>(plain.send([1, null], undefined, { keepOpen: true }, () => {}));
plain.on('message', (message, handle) => {
  expectType<any>(message);
  expectType<any>(handle);
});
plain.on('message', (job: Job, socket: net.Socket) => socket.end(String(job.id)));
plain.on('something', (a, b) => [a, b]);
expectType<Channel | null | undefined>(plain.channel);
expectType<'native' | 'node' | undefined>(plain.channel?.protocol);
expectType<number | undefined>(plain.pid);

expectError(plain.send());
expectError(plain.send(undefined));
expectError(plain.send(Symbol('x')));
expectError(plain.send(1n));
expectError(plain.send(() => {}));
expectError(plain.send('x', 'no handle'));
expectError(plain.send('x', null, { keepOpen: 1 }));

// --------------------------------------------------------------------------------------- typed, both directions

const child = fork<Job, Answer>('child.js', ['argument'], { channel: 'native' });
child
  .on('message', (answer, handle) => {
    expectType<{ id: number; ok: boolean }>(answer);
    expectType<Handle | undefined>(handle);
  })
  .once('undelivered', (job, handle) => {
    expectType<Job>(job);
    expectType<Handle>(handle);
    child.send(job, handle);
  })
  .on('drain', (...args) => expectType<[]>(args))
  .on('exit', (code, signal) => {
    expectType<number | null>(code);
    expectType<NodeJS.Signals | null>(signal);
  });
child.send({ id: 1, due: new Date() }, new net.Socket());
child.send({ id: 1, due: new Date(), note: 'x' }, dgram.createSocket('udp4'));
expectError(child.send({ id: '1', due: new Date() }));
expectError(child.on('message', (answer: string) => answer));
expectError(child.on('drain', (bytes: number) => bytes));
expectError(child.on('undelivered', (job: Answer) => job));

const parent = process as ForkedProcess<Answer, Job>;
parent.on('message', (job) => {
  expectType<string>(job.due); // JSON
  parent.send({ id: job.id, ok: true });
});
parent.on('undelivered', (answer) => expectType<Answer>(answer));
expectError(parent.send({ id: 1 }));

// ------------------------------------------------------------------------------------------------ serialization

const cloned = fork<Job, Answer>('child.js', { serialization: 'advanced' });
expectType<ForkedChild<Job, Answer, 'advanced'>>(cloned);
const anything = fork('child.js', [], { serialization: 'advanced' });
anything.send({
  big: 1n,
  map: new Map([[1, new Set([2])]]),
  bytes: new Uint8Array(1),
  error: new Error('x'),
});
expectError(anything.send({ symbol: Symbol('x') }));
expectError(anything.send({ promise: Promise.resolve() }));
expectError(plain.send({ deep: [{ big: 1n }] }));
expectError(plain.send({ map: new Map() }));
expectError(plain.send({ pattern: /x/ }));
expectError(fork('child.js', { serialization: 'xml' }));
plain.send({ due: new Date(), bytes: Buffer.from('x'), missing: undefined });

expectType<Job>({} as Received<Job, 'advanced'>);
expectType<{ id: number; due: string; note?: string }>({} as Received<Job>);
expectType<(number | null)[]>({} as Received<(number | undefined)[]>);
expectType<{ kept: 1 }>({} as Received<{ kept: 1; gone(): void; alsoGone: undefined }>);
expectType<any>({} as Received<any>);
expectNotAssignable<Sendable<{ big: bigint }>>({ big: 1n });
expectAssignable<Sendable<{ big: bigint }, 'advanced'>>({ big: 1n });

interface Tree {
  value: number;
  children: Tree[];
}
const trees = fork<Tree, Tree>('child.js');
trees.send({ value: 1, children: [{ value: 2, children: [] }] });
trees.on('message', (tree) => expectType<number>(tree.children[0].children[0].value));

// ------------------------------------------------------------------------------------------- options and spawn

fork('child.js', { exitFlush: { stall: 100, total: 1000 }, silent: true, env: process.env });
fork(new URL('file:///child.js'), null, { signal: new AbortController().signal });
fork('child.js', { maxMessageSize: 1e6, maxQueueBytes: 1e6, credit: { bytes: 1e6, handles: 8 } });
fork('child.js', { acceptHandles: ['net.Socket'], untrusted: true });
expectError(fork('child.js', { acceptHandles: ['net.Socks'] }));
expectError(fork('child.js', { channel: 'other' }));
expectError(fork('child.js', { exitFlush: 5 }));

const spawned = spawn('node', ['child.js'], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
expectType<boolean>(spawned.send('x'));
expectAssignable<ForkedChild>(spawned);
const advanced = spawn('node', [], {
  stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
  serialization: 'advanced',
});
advanced.send({ big: 1n });
expectError(spawned.send({ big: 1n }));
expectType<net.Socket['readable']>(spawn('ls', ['-l']).stdout.readable);
expectType<null>(spawn('ls', [], { stdio: ['ignore', 'ignore', 'ignore'] }).stdout);
expectType<ChildProcess>(exec('ls'));
