'use strict';

// Below fork(), spawn() and cluster.fork() lies ChildProcess.prototype.spawn(). Here is what forkwire does in its
// place: where stdio has an 'ipc' entry, Node starts the child with a plain descriptor there, and a channel of ours
// is attached. On the native wire a preload takes the child's end; on stock Node's wire the child finds what
// Node itself would have left.

const { ChildProcess } = require('node:child_process');
const attachment = require('./attach');
const { pairsForChild, pairsForNodeChild } = require('./environment');
const { load } = require('./loader');
const { expectClose, interceptExit } = require('./node-internals');
const { nextTick } = require('./primordials');
const { isPlainNode } = require('./host');

/** Options of fork() and spawn() that stock has not. */
const OWN_OPTIONS = [
  'acceptHandles',
  'channel',
  'credit',
  'exitFlush',
  'latency',
  'maxMessageSize',
  'maxQueueBytes',
  'untrusted',
];

const PRELOAD = `${__dirname}/preload.js`;

/** What a child loads: the folder stands for all that is in it. */
const filesWith = (preload) => [__dirname, preload, attachment.addonFile];

const identities = new Map(); // file -> what it was when this process loaded it

/** Files that children will load: they must stay what they are now. */
function remember(files) {
  for (const file of files)
    if (!identities.has(file)) identities.set(file, attachment.identityOf(file));
}

/** Whether it is gone, or may not be read, or is another than this process has. */
function hasChanged(file) {
  const identity = identities.get(file);
  return identity === undefined || attachment.identityOf(file) !== identity;
}

remember(filesWith(PRELOAD));

/** As chooseWire() gives it; `isPeer`: whether the child itself will have the channel, as far as is known. */
function choose(options, slot, asked, changedFile) {
  const system = { ...attachment, changedFile };
  if (asked === undefined && isPlainNode(options, slot, system))
    return { wire: 'native', isPeer: true };
  const { chooseWire, isNode } = load('./wire-choice', module);
  const choice = chooseWire(options, slot, asked, system);
  return { ...choice, isPeer: choice.wire === 'native' || isNode(options, attachment) };
}

/** The one index of 'ipc' in stdio, or -1. Whatever Node would refuse is left to Node to refuse. */
function ipcSlot({ stdio, envPairs, serialization, file, args }) {
  const areSane =
    Array.isArray(stdio) &&
    Array.isArray(envPairs) &&
    typeof file === 'string' &&
    (args === undefined || Array.isArray(args)) &&
    [undefined, 'json', 'advanced'].includes(serialization);
  if (!areSane) return -1;
  const slot = stdio.indexOf('ipc');
  return slot === stdio.lastIndexOf('ipc') ? slot : -1;
}

/** Changes `options` to those of a plain descriptor at the slot, and gives those of attach(). */
function prepare(options, slot, { wire, reason, preload, limits, isAsked }, [ours, theirs]) {
  const serialization = options.serialization ?? 'json';
  const { addonFile: addon } = attachment;
  const channel = { fd: slot, inode: attachment.inode(theirs), serialization, limits, addon };
  options.stdio = options.stdio.with(slot, theirs);
  options.envPairs =
    wire === 'native'
      ? pairsForChild(options.envPairs, preload, channel)
      : pairsForNodeChild(options.envPairs, channel);
  const program = isAsked ? options.file : undefined;
  const usual = { trace: 'child', endsWithClose: true };
  return { wire, reason, fd: ours, serialization, limits, program, ...usual };
}

function start(child, options, spawn, [ours, theirs]) {
  try {
    return Reflect.apply(spawn, child, [options]);
  } catch (error) {
    attachment.closeFd(ours);
    throw error;
  } finally {
    attachment.closeFd(theirs);
  }
}

/** Exit codes of a Node that did not run its preload, or not to its end: any other has words of its own on stderr. */
const isSilentCode = (code) =>
  code === 0 || code === 1 || code === load('./errors', module).NO_ADDON_EXIT_CODE;

/** The child was to speak the native wire, as far as could be known, and ended by itself without a word. */
function reportSilence(child, channel, program, exitCode, signalCode) {
  if (!channel.owesHello || signalCode || !isSilentCode(exitCode)) return;
  const { report } = load('./diagnostics', module);
  const { missingHello } = load('./errors', module);
  nextTick(report, child, missingHello(child.pid, program, exitCode));
}

/** An exit that is noticed before the end of the channel: what the child sent comes first. Where the program was a
 * wrapper and a child of it has the channel, that goes on. `isPeer`: it was none, as far as is known before. */
function drainBeforeExit(child, channel, isPeer, program) {
  const isOver = () =>
    (isPeer && !channel.isBehindWrapper) || attachment.isHungUp(channel.control.fd ?? -1);
  interceptExit(child, (exitCode, signalCode, proceed) => {
    if (!isOver()) {
      proceed();
      return;
    }
    channel.peerDied(() => {
      reportSilence(child, channel, program, exitCode, signalCode);
      nextTick(proceed);
    });
  });
}

/** Whether an error of spawn() says that no descriptor is free. */
function isOfDescriptors(status) {
  const { isErrno } = load('./errors', module);
  return isErrno(status, 'EMFILE') || isErrno(status, 'ENFILE');
}

/** Without a channel nobody would know of the child any more: fork() throws, and it does not run on. */
function attachTo(child, channelOptions) {
  try {
    return attachment.attach(child, channelOptions);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

function spawnOn(plan, child, options, slot, spawn) {
  const pair = attachment.socketPair();
  if (!Array.isArray(pair)) return Reflect.apply(spawn, child, [options]); // Node fails too, its own way
  const channelOptions = prepare(options, slot, plan, pair);
  const status = start(child, options, spawn, pair);
  if (status < 0 && isOfDescriptors(status)) {
    attachment.closeFd(pair[0]);
    return status;
  }
  expectClose(child);
  const channel = attachTo(child, channelOptions);
  if (child.pid) drainBeforeExit(child, channel, plan.isPeer, options.file);
  return status;
}

/** What options of forkwire's own say: { asked: which wire, limits: undefined for the defaults }. */
function askedFor(given) {
  if (!OWN_OPTIONS.some((name) => given?.[name] !== undefined)) return {};
  const { channelOf, limitsOf } = load('./limits', module);
  return { limits: limitsOf(given), asked: channelOf(given) };
}

/**
 * spawn() for `child`: with a channel of ours where there is to be one, else as Node does it.
 * @param preload the file that the child is to load
 * @param given the options that are forkwire's; they are checked
 * @param spawn Node's own
 */
function spawnChild(child, options, preload, given, spawn) {
  const slot = options === null || typeof options !== 'object' ? -1 : ipcSlot(options);
  if (slot < 0) return Reflect.apply(spawn, child, [options]);
  const { asked, limits } = askedFor(given); // throws, so before there are descriptors
  const files = filesWith(preload);
  remember(files);
  const choice = choose(options, slot, asked, files.find(hasChanged));
  const plan = { ...choice, preload, limits, isAsked: asked === 'native' };
  return spawnOn(plan, child, options, slot, spawn);
}

/** Runs `action` with ChildProcess.prototype.spawn() replaced for the one child that it starts. */
function withOwnSpawn(action) {
  const { prototype } = ChildProcess;
  const original = prototype.spawn;
  let isReplaced = true;
  const restore = () => {
    if (isReplaced) prototype.spawn = original;
    isReplaced = false;
  };
  prototype.spawn = function spawn(options) {
    restore();
    return spawnChild(this, options, PRELOAD, options, original);
  };
  try {
    return action();
  } finally {
    restore();
  }
}

module.exports = { spawnChild, withOwnSpawn };
