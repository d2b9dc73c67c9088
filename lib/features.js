'use strict';

// Parts that forkwire can do without, each with a name. FORKWIRE_DISABLE=name,... in the environment of a process
// switches them off there, for tests and to find out what a part is worth.

/** Names -> bits that the addon knows (FW_DISABLE_* of src/forkwire.h, and those of src/binding/channel.cc). */
const NATIVE = {
  segments: 1, // shared memory for large messages
  sndbuf: 2, // a larger SO_SNDBUF than the system's default
  external: 1 << 16, // large Buffers over the memory in which they arrived
};

const disabled = new Set((process.env.FORKWIRE_DISABLE ?? '').split(','));

const isDisabled = (name) => disabled.has(name);

/** The bits of what is switched off and is the addon's to do without. */
function disabledInAddon() {
  const names = Object.keys(NATIVE).filter(isDisabled);
  return names.reduce((bits, name) => bits | NATIVE[name], 0);
}

/** What a channel with a peer that is not trusted does without: its peer could change what was delivered. */
const DISABLED_FOR_UNTRUSTED = NATIVE.segments;

module.exports = { DISABLED_FOR_UNTRUSTED, disabledInAddon, isDisabled };
