/// <reference types="node" />

// Everything that `child_process` has; `fork` and `spawn` are forkwire's. What is said here comes on top of Node's
// documentation of child_process (https://nodejs.org/api/child_process.html), which holds for the rest.

import type * as childProcess from 'node:child_process';
import type { ChildProcess, SendHandle, SerializationType } from 'node:child_process';
import type { EventEmitter } from 'node:events';

export * from 'node:child_process';

// ------------------------------------------------------------------------------------------------------- messages

/** What JSON drops or empties without a word, or cannot write. */
type NotInJson =
  | bigint
  | symbol
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | Promise<unknown>
  | ArrayBuffer
  | RegExp;

/** What structured clone refuses. */
type NotCloned = symbol | Promise<unknown>;

/** Objects that are not looked into. */
type Whole =
  | { toJSON(...args: any[]): unknown }
  | Anything
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | ArrayBufferView
  | ArrayBuffer
  | Error
  | RegExp;

type Anything = (...args: any[]) => unknown;
type IsAny<T> = 0 extends 1 & T ? true : false;
type IsUnknown<T> = unknown extends T ? (IsAny<T> extends true ? false : true) : false;

/** T, with `never` in the places of what `Refused` names. */
type Checked<T, Refused> =
  IsAny<T> extends true
    ? T
    : IsUnknown<T> extends true
      ? T
      : T extends Refused
        ? never
        : T extends Whole
          ? T
          : T extends object
            ? { [K in keyof T]: Checked<T[K], Refused> }
            : T;

/**
 * T, if it can be sent: with `serialization: 'json'` what JSON can write without losing it, with `'advanced'` what
 * structured clone takes (Map, Set, BigInt, Date, typed arrays, errors, cycles). `never` stands where something cannot travel.
 * As in Node, the message itself is a string, number, boolean, object, array or null.
 */
export type Sendable<T, Mode extends SerializationType = 'json'> = T extends
  | undefined
  | bigint
  | Anything
  ? never
  : Checked<T, Mode extends 'advanced' ? NotCloned : NotInJson>;

type Jsonified<T> =
  IsAny<T> extends true
    ? any
    : IsUnknown<T> extends true
      ? any
      : T extends { toJSON(...args: any[]): infer Text }
        ? Jsonified<Text>
        : T extends string | number | boolean | null
          ? T
          : T extends NotInJson | Anything | undefined
            ? never
            : T extends readonly unknown[]
              ? { [I in keyof T]: InArray<T[I]> }
              : T extends object
                ? { [K in keyof T as Survives<K, T[K]>]: Jsonified<Exclude<T[K], Dropped>> }
                : never;

type Dropped = undefined | symbol | Anything;

/** A key of an object that JSON keeps. */
type Survives<Key, Value> = Key extends string | number
  ? IsAny<Value> extends true
    ? Key
    : [Value] extends [Dropped]
      ? never
      : Key
  : never;

/** In an array nothing is dropped: null takes its place. */
type InArray<T> =
  IsAny<T> extends true ? any : Jsonified<Exclude<T, Dropped>> | (T extends Dropped ? null : never);

/**
 * What arrives when a T is sent: with `serialization: 'json'` what JSON makes of it (a Date is a string, undefined and
 * functions are gone), with `'advanced'` the same (a class instance arrives as a plain object, which a type cannot say).
 */
export type Received<T, Mode extends SerializationType = 'json'> = Mode extends 'advanced'
  ? T
  : Jsonified<T>;

/** A handle that `send()` takes and `'undelivered'` gives back. */
export type Handle = NonNullable<SendHandle> | NativeHandle;

/** A native TCP, Pipe or UDP object of Node, such as cluster's workers get. */
export interface NativeHandle {
  readonly fd: number;
  close(callback?: () => void): void;
}

export interface SendOptions {
  /**
   * The net.Socket stays open and usable here as well. Without it a socket moves: it is the peer's from now on, with what had been
   * read from it, and its unsent writes are finished first. From Node.
   * @default false
   */
  keepOpen?: boolean | undefined;
}

/**
 * Called once, with null when the kernel has taken the whole message, else with an error: EPIPE (the peer is gone),
 * ERR_IPC_CHANNEL_CLOSED (the channel was ended before), ERR_FORKWIRE_HANDLE_CLOSED (the connection of the
 * socket was closed before, or reset by its client while it was queued: the message was dropped with it). From Node.
 */
export type SendCallback = (error: Error | null) => void;

// ---------------------------------------------------------------------------------------------------------- ends

/** `channel` of a ChildProcess and of `process`: Node's, `protocol` and `protocolReason`. */
export interface Channel extends EventEmitter {
  /** `'native'`: forkwire's wire; `'node'`: that of stock Node. Undefined where the channel is not forkwire's. */
  readonly protocol?: 'native' | 'node';
  /** Why it is stock Node's wire, or Node's own channel, as a text for people. Undefined on forkwire's wire. */
  readonly protocolReason?: string;
  /** The descriptor of the channel's socket; undefined when it is closed. From Node. */
  readonly fd?: number;
  /** The channel keeps this process alive, whatever listeners there are. Final: listeners are not counted any more. From Node. */
  ref(): void;
  /** The channel does not keep this process alive. Final, as ref(). From Node. */
  unref(): void;
  /** One more reason to keep the process alive; without effect after ref() or unref(). In Node it is there, but not documented. */
  refCounted?(): void;
  /** Takes one refCounted() back. As in Node. */
  unrefCounted?(): void;
}

/** The events of one end of a channel. */
export interface ChannelEvents<Sent, Incoming, Mode extends SerializationType> {
  /** A message, and the handle that came with it. Every message in a tick of its own order, as in Node. */
  message: [
    message: Received<Incoming, Mode>,
    handle: IsAny<Incoming> extends true ? any : Handle | undefined,
  ];
  /**
   * A handle that `send()` accepted and nobody took, whatever its callback said: the peer refused it, said that it ends, or
   * died. Once for each, before `'disconnect'`. `message` is what was given to `send()`. A moved net.Socket is a new net.Socket
   * on the same connection with everything that had been read from it, counted by its server again; it is closed if
   * nobody listens. Any other handle is the object that was sent, which was never closed. Node has no such event.
   */
  undelivered: [message: Sent, handle: IsAny<Sent> extends true ? any : Handle];
  /** After `send()` returned false: 64 KiB or less are queued. Node has no such event here. */
  drain: [];
  /** The channel has ended, and every handle that was sent is settled. From Node. */
  disconnect: [];
  /** A failure of the process, as in Node, or of the channel: see the ERR_FORKWIRE_ codes in docs/api.md. */
  error: [error: Error];
}

/** Events of every ChildProcess. */
export interface ProcessEvents {
  /** From Node, as the two below. */
  spawn: [];
  /** The process has ended; what it sent before has been delivered. */
  exit: [code: number | null, signal: NodeJS.Signals | null];
  /** After `'exit'`, `'disconnect'` and the end of all stdio; also after disconnect() of this side, where Node leaves it out. */
  close: [code: number | null, signal: NodeJS.Signals | null];
}

/** A listener of `Event`: with typed arguments where `Events` has them. */
type Listener<Events, Event> = Event extends keyof Events
  ? (...args: Extract<Events[Event], any[]>) => void
  : (...args: any[]) => void;

type Arguments<Events, Event> = Event extends keyof Events ? Extract<Events[Event], any[]> : any[];

/** Node's EventEmitter, with the arguments that `Events` says; other events take any. */
interface Listening<Events> {
  on<E extends string | symbol>(event: E, listener: Listener<Events, E>): this;
  once<E extends string | symbol>(event: E, listener: Listener<Events, E>): this;
  off<E extends string | symbol>(event: E, listener: Listener<Events, E>): this;
  addListener<E extends string | symbol>(event: E, listener: Listener<Events, E>): this;
  removeListener<E extends string | symbol>(event: E, listener: Listener<Events, E>): this;
  prependListener<E extends string | symbol>(event: E, listener: Listener<Events, E>): this;
  prependOnceListener<E extends string | symbol>(event: E, listener: Listener<Events, E>): this;
  emit<E extends string | symbol>(event: E, ...args: Arguments<Events, E>): boolean;
}

/** What both ends of a channel can do. */
interface Sending<Sent, Mode extends SerializationType> {
  /**
   * Sends a message, and a handle with it. Both are taken at once: what happens to the message afterwards changes nothing, and a
   * moved socket is not to be used any more. A call that throws leaves message, socket and channel as they were.
   *
   * @param message a string, number, boolean, object, array or null; see Sendable
   * @param sendHandle net.Socket, net.Server, dgram.Socket, a native handle, or net.BoundSocket where Node has it
   * @param options { keepOpen }
   * @param callback called once, with null or an error; without one an error is an `'error'` event
   * @returns false when more than 131072 bytes are queued; `'drain'` follows
   * @throws ERR_MISSING_ARGS, ERR_INVALID_ARG_TYPE, ERR_INVALID_HANDLE_TYPE, what serialization throws;
   *   ERR_FORKWIRE_HANDLE_STATE (a TLSSocket, or a socket that still connects), ERR_FORKWIRE_MESSAGE_TOO_LARGE (above what the
   *   peer accepts), ERR_FORKWIRE_EMPTY_MESSAGE (toJSON() gave undefined). ERR_FORKWIRE_QUEUE_FULL (`maxQueueBytes`) goes to the callback
   * @see https://nodejs.org/api/child_process.html#subprocesssendmessage-sendhandle-options-callback
   */
  send<const M extends Sent>(message: M & Sendable<M, Mode>, callback?: SendCallback): boolean;
  send<const M extends Sent>(
    message: M & Sendable<M, Mode>,
    sendHandle: Handle | null | undefined,
    callback?: SendCallback,
  ): boolean;
  send<const M extends Sent>(
    message: M & Sendable<M, Mode>,
    sendHandle: Handle | null | undefined,
    options: SendOptions | undefined,
    callback?: SendCallback,
  ): boolean;

  /**
   * Ends the channel: `connected` is false at once, `'disconnect'` comes with the next tick, and what `send()` accepted is
   * flushed (up to 5 seconds without progress). Where handles are on their way, `'disconnect'` comes when all of them are
   * settled. From Node, which throws away what it had not written. A second call is an `'error'` event, ERR_IPC_DISCONNECTED.
   */
  disconnect(): void;

  /** Whether messages can be sent. From Node. */
  readonly connected: boolean;
}

type Replaced = keyof Listening<unknown> | keyof Sending<unknown, 'json'> | 'channel';

/**
 * The ChildProcess of a fork() or spawn() with a channel.
 *
 * @typeParam Sent what this end sends; anything that can be sent by default
 * @typeParam Incoming what the child sends
 * @typeParam Mode its `serialization`
 */
export interface ForkedChild<Sent = any, Incoming = any, Mode extends SerializationType = 'json'>
  extends Omit<ChildProcess, Replaced>,
    Sending<Sent, Mode>,
    Listening<ChannelEvents<Sent, Incoming, Mode> & ProcessEvents> {
  /** null after the end of the channel. */
  readonly channel?: Channel | null;
}

/**
 * `process` of a child that was started with a channel. What the parent sends cannot be known from here, so say it:
 *
 *     const parent = process as ForkedProcess<Answer, Question>;
 *     parent.on('message', (question) => parent.send(answer(question)));
 *
 * @typeParam Sent what this end sends
 * @typeParam Incoming what the parent sends
 * @typeParam Mode the `serialization` that the parent chose
 */
export interface ForkedProcess<Sent = any, Incoming = any, Mode extends SerializationType = 'json'>
  extends Omit<NodeJS.Process, Replaced>,
    Sending<Sent, Mode>,
    Listening<ChannelEvents<Sent, Incoming, Mode>> {
  /** null after the end of the channel. */
  readonly channel?: Channel | null;
}

// ------------------------------------------------------------------------------------------------ fork and spawn

/** How long a process that exits waits while it writes out what `send()` accepted, in milliseconds, 0 to 2147483647. */
export interface ExitFlush {
  /**
   * Without progress.
   * @default 500
   */
  stall?: number | undefined;
  /**
   * In all.
   * @default 5000
   */
  total?: number | undefined;
}

/** What a sender may have on its way to a receiver that took none of it. Beyond it `send()` accepts and queues. */
export interface Credit {
  /**
   * User messages, in bytes, 524288 to 1073741824.
   * @default 16777216
   */
  bytes?: number | undefined;
  /**
   * Handles beside user messages, 1 to 512.
   * @default 512
   */
  handles?: number | undefined;
}

export type HandleKind =
  | 'net.Socket'
  | 'net.Server'
  | 'net.Native'
  | 'dgram.Socket'
  | 'dgram.Native'
  | 'net.BoundSocket';

/**
 * forkwire's options of fork() and spawn(), beside Node's. All are checked at the call: ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE or
 * ERR_INVALID_ARG_VALUE is thrown, and no process is started.
 */
export interface ChannelOptions {
  /**
   * Which wire, instead of the choice that forkwire makes: `'native'` where the child is this very Node and may load the addon,
   * else `'node'`, which any program speaks that reads NODE_CHANNEL_FD. With `'native'` the child must load the preload that is put
   * into its NODE_OPTIONS.
   */
  channel?: 'native' | 'node' | undefined;
  /**
   * `'low'`: while parent and child answer each other in turn, both ends wait for the next message for up to 50
   * microseconds without sleeping, and what fits 8128 bytes goes through memory that both have mapped. That blocks the event loop for as
   * long and shows as a busy process; it is left out where traffic looks different or the machine is busy, and an idle channel uses
   * nothing. A message that is left there for a peer which is killed in that very moment counts as sent.
   */
  latency?: 'low' | undefined;
  /** Limits of the flush at exit, on both ends. */
  exitFlush?: ExitFlush | undefined;
  /**
   * The largest message either way, in bytes as encoded, 1 to 1073741824. `send()` throws ERR_FORKWIRE_MESSAGE_TOO_LARGE; a peer
   * that announces more ends the channel with it.
   * @default 1073741824
   */
  maxMessageSize?: number | undefined;
  /**
   * Bytes that may wait to be written at this end. Beyond it a message is not accepted: ERR_FORKWIRE_QUEUE_FULL to the callback or
   * as `'error'`; `'drain'` says when to go on. Without it the queue has no limit.
   */
  maxQueueBytes?: number | undefined;
  /** What may be on its way, both directions. */
  credit?: Credit | undefined;
  /**
   * Handles that this end takes from the child: all, none, or those kinds. The descriptor of any other is closed, its message is not
   * delivered, and the child gets `'undelivered'`.
   * @default true
   */
  acceptHandles?: boolean | readonly HandleKind[] | undefined;
  /**
   * The child may be hostile: JSON only, no handles from it, and small limits (see SECURITY.md). Refused together with
   * `serialization: 'advanced'`.
   * @default false
   */
  untrusted?: boolean | undefined;
}

export interface ForkOptions<Mode extends SerializationType = SerializationType>
  extends childProcess.ForkOptions,
    ChannelOptions {
  /**
   * `'json'`, or `'advanced'`: structured clone. From Node.
   * @default 'json'
   */
  serialization?: Mode | undefined;
}

type StdioEntry = Extract<childProcess.StdioOptions, readonly any[]>[number];

/** Options of a spawn() whose `stdio` has an `'ipc'` entry. */
export interface ChannelSpawnOptions<
  Stdio extends readonly StdioEntry[] = readonly StdioEntry[],
  Mode extends SerializationType = SerializationType,
> extends Omit<childProcess.SpawnOptions, 'stdio' | 'serialization'>,
    ChannelOptions {
  stdio: 'ipc' extends Stdio[number] ? Stdio : never;
  serialization?: Mode | undefined;
}

/**
 * child_process.fork() on forkwire's channel: arguments, defaults, validation, errors and process creation are Node's.
 *
 * @param modulePath the child's script
 * @param args its arguments
 * @param options Node's, and ChannelOptions; `serialization: 'advanced'` changes what can be sent
 * @returns the child. Events: `'message'`, `'undelivered'`, `'drain'`, `'disconnect'`, and those of every ChildProcess
 * @throws Node's errors for bad arguments; the same codes for bad ChannelOptions; ERR_FORKWIRE_NO_BINARY, at `require()`, without
 *   a binary for this platform
 * @see https://nodejs.org/api/child_process.html#child_processforkmodulepath-args-options
 */
export function fork<Sent = any, Incoming = any>(
  modulePath: string | URL,
  options: ForkOptions<'advanced'> & { serialization: 'advanced' },
): ForkedChild<Sent, Incoming, 'advanced'>;
export function fork<Sent = any, Incoming = any>(
  modulePath: string | URL,
  args: readonly string[] | null | undefined,
  options: ForkOptions<'advanced'> & { serialization: 'advanced' },
): ForkedChild<Sent, Incoming, 'advanced'>;
export function fork<Sent = any, Incoming = any>(
  modulePath: string | URL,
  options?: ForkOptions<'json'>,
): ForkedChild<Sent, Incoming, 'json'>;
export function fork<Sent = any, Incoming = any>(
  modulePath: string | URL,
  args?: readonly string[] | null,
  options?: ForkOptions<'json'>,
): ForkedChild<Sent, Incoming, 'json'>;

interface SpawnWithChannel {
  <const Stdio extends readonly StdioEntry[], Sent = any, Incoming = any>(
    command: string,
    args: readonly string[],
    options: ChannelSpawnOptions<Stdio, 'advanced'> & { serialization: 'advanced' },
  ): ForkedChild<Sent, Incoming, 'advanced'>;
  <const Stdio extends readonly StdioEntry[], Sent = any, Incoming = any>(
    command: string,
    args: readonly string[],
    options: ChannelSpawnOptions<Stdio, 'json'>,
  ): ForkedChild<Sent, Incoming, 'json'>;
}

/**
 * child_process.spawn(): an `'ipc'` entry in `stdio` is forkwire's channel, and the child a ForkedChild. Without one it is Node's own
 * function, with Node's types.
 *
 * @see https://nodejs.org/api/child_process.html#child_processspawncommand-args-options
 */
export const spawn: SpawnWithChannel & typeof childProcess.spawn;
