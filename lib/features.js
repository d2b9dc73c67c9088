'use strict';

// Parts that forkwire can do without, each with a name. FORKWIRE_DISABLE=name,... in the environment of a process
// switches them off there, for tests and to find out what a part is worth. In JavaScript:
//   gathering   small messages of a turn cross into the addon together
//   texts       short strings and numbers become JSON texts without JSON.stringify(), and travel like objects
//   plain-data  plain data in 'advanced' travels as JSON

/** Names -> bits that the addon knows (FW_DISABLE_* of src/forkwire.h, and those of src/binding/channel.cc). */
const NATIVE = {
  spinning: 4, // waiting for answers without sleeping, with latency: 'low'
  joining: 1 << 17, // small JSON texts of one read are parsed together
};

const disabled = new Set((process.env.FORKWIRE_DISABLE ?? '').split(','));

const isDisabled = (name) => disabled.has(name);

/** The bits of what is switched off and is the addon's to do without. */
function disabledInAddon() {
  return Object.entries(NATIVE).reduce(
    (bits, [name, bit]) => bits | (isDisabled(name) ? bit : 0),
    0,
  );
}

module.exports = { disabledInAddon, isDisabled };
