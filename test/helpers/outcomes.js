'use strict';

// What comes of each attack of test/fixtures/hostile_peer.py, on each wire and at both ends. It costs that channel,
// with an error that says what was wrong, or nothing.

const assert = require('node:assert/strict');

const isBatchOf = (handles) => new RegExp(`: BATCH frame at byte \\d+: ${handles}$`);

/** The channel is what it was: what is sent behind the attack arrives, no message and no handle of the attack does. */
const GOES_ON = { isDone: true, messages: [] };
/** The same, but for messages that nothing is wrong with; what came with them unasked is closed. */
const plain = (count) => ({ isDone: true, messages: Array(count).fill('plain') });
/** The channel ends; before that at most so many messages arrive, that nothing is wrong with. */
const ends = (error, most = 0) => ({ error, most });

const NO_VALUE = ends(/^A message of the peer cannot be decoded: /);
const TOO_LARGE = ends(/^A message of the peer is larger than maxMessageSize, \d+ bytes$/);
/** To a child, which has no limit of its own: a line of 200 MB is no JSON, a length is more than any message may have. */
const LONG = {
  ...ends(/ cannot be decoded: | is larger than maxMessageSize, 1073741824 bytes$/),
  isLarge: true,
};
/** The peer dies at once, and another process holds its end: that is an end, and no error. */
const DIES = { isDone: false, messages: [] };
/** Stock's wire declares a socket, and that is one. A parent that does not trust its child takes none. */
const ONE_SOCKET = { isDone: true, messages: ['it'], handles: 1, untrusted: GOES_ON };

// biome-ignore format: a table
const OUTCOMES = {
  //                             native wire                         stock's wire
  'bad-payload':                [NO_VALUE,                           NO_VALUE],
  'empty-payload':              [NO_VALUE,                           NO_VALUE],
  'cut-off-payload':            [NO_VALUE,                           NO_VALUE],
  'length-of-4-gib':            [ends(/: USER frame at byte \d+: size$/),
                                                                     { ...TOO_LARGE, child: LONG }],
  'endless-message':            [{ ...TOO_LARGE, child: ends(/: unknown \(120\) frame at byte \d+: kind$/) },
                                                                     { ...TOO_LARGE, child: LONG }],
  'handle-ack':                 [GOES_ON,                            GOES_ON],
  'handle-nack':                [GOES_ON,                            GOES_ON],
  'type-unknown':               [GOES_ON,                            GOES_ON],
  'type-missing':               [GOES_ON,                            GOES_ON],
  'type-proto':                 [GOES_ON,                            GOES_ON],
  'type-constructor':           [GOES_ON,                            GOES_ON],
  'nested-handle':              [GOES_ON,                            GOES_ON],
  'tcp-as-dgram':               [GOES_ON,                            GOES_ON],
  'udp-as-socket':              [GOES_ON,                            GOES_ON],
  'socket-as-server':           [GOES_ON,                            GOES_ON],
  'file':                       [GOES_ON,                            GOES_ON],
  'folder':                     [GOES_ON,                            GOES_ON],
  'dev-null':                   [GOES_ON,                            GOES_ON],
  'memfd':                      [GOES_ON,                            GOES_ON],
  'pty':                        [GOES_ON,                            GOES_ON],
  'pipe':                       [GOES_ON,                            GOES_ON],
  'epoll':                      [GOES_ON,                            GOES_ON],
  'seqpacket':                  [GOES_ON,                            GOES_ON],
  'the-channel-itself':         [GOES_ON,                            ONE_SOCKET],
  'handle-without-descriptor':  [ends(isBatchOf('batch')),           GOES_ON],
  'descriptor-on-a-message':    [ends(isBatchOf('batch'), 1),        plain(3)],
  'descriptors-in-masses':      [{ ...ends(isBatchOf('batch'), 1),
                                   untrusted: ends(isBatchOf('(batch|handle-credit)'), 1) },
                                                                     plain(20)],
  'leaked-copy':                [DIES,                               DIES],
};

/** What is to come of it at that end, 'parent' or 'child' (which has no maxMessageSize here), with these options of fork(). */
function outcomeOf(name, end, { channel, untrusted }) {
  const row = OUTCOMES[name][channel === 'node' ? 1 : 0];
  return row[end] ?? (untrusted ? row.untrusted : undefined) ?? row;
}

/** @param seen { isDone, messages, handles, errors: [{ message }] }, and `left`: descriptors that stayed open */
function assertOutcome(name, end, options, seen) {
  const { error, isDone = false, messages, most, handles = 0 } = outcomeOf(name, end, options);
  assert.deepEqual(
    seen.errors.map((each) => each.message).filter((message) => !error?.test(message)),
    [],
  );
  assert.equal(seen.errors.length, error ? 1 : 0);
  assert.equal(seen.isDone, isDone);
  const count = Math.min(seen.messages.length, most);
  assert.deepEqual(seen.messages, messages ?? Array(count).fill('plain'));
  assert.equal(seen.handles, handles);
  assert.deepEqual(seen.left ?? [], []);
}

module.exports = { OUTCOMES, assertOutcome, outcomeOf };
