'use strict';

// Parts that forkwire can do without, each with a name. FORKWIRE_DISABLE=name,... in the environment of a process
// switches them off there, for tests and to find out what a part is worth. In JavaScript:
//   texts       short strings and numbers become JSON texts without JSON.stringify(), and travel like objects
//   plain-data  plain data in 'advanced' travels as JSON
//   core        channels begin as a CoreChannel; any other name has them whole from the start as well
//   views       large Buffers inside a message of 'advanced' travel beside the value

const { nodeProcess } = require('./primordials');

/** Names -> bits that the addon knows (FW_DISABLE_* of src/forkwire.h, and those of src/binding/channel.cc). */
const NATIVE = {
  gathering: 32, // small messages of a turn are written together
  finishing: 16, // an end hands over what waits for credit
  segments: 1, // shared memory for large messages
  sndbuf: 2, // a larger SO_SNDBUF than the system's default
  strings: 64, // long strings of a JSON message beside its text
  slots: 8, // with latency: 'low', answers in shared memory instead of the socket
  spinning: 4, // waiting for answers without sleeping, with latency: 'low'
  external: 1 << 16, // large Buffers over the memory in which they arrived
  joining: 1 << 17, // small JSON texts of one read are parsed together
};

const disabled = new Set((nodeProcess.env.FORKWIRE_DISABLE ?? '').split(','));

const isDisabled = (name) => disabled.has(name);

/** The bits of what is switched off and is the addon's to do without. */
function disabledInAddon() {
  const names = Object.keys(NATIVE).filter(isDisabled);
  return names.reduce((bits, name) => bits | NATIVE[name], 0);
}

/** What a channel with a peer that is not trusted does without: memory that its peer can write to. */
const DISABLED_FOR_UNTRUSTED = NATIVE.segments | NATIVE.slots;

module.exports = { DISABLED_FOR_UNTRUSTED, disabledInAddon, isDisabled };
