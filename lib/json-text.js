'use strict';

// JSON texts of small values that are cheaper to write than through JSON.stringify().

const { JSONStringify } = require('./primordials');

// What a string may not hold to stand between quotes as it is.
const NEEDS_ESCAPE = /["\\\p{Cc}\p{Cs}]/u;

/** Longer strings travel as they are. Characters. */
const QUOTED_MAX = 1024;

const quoted = (string) => (NEEDS_ESCAPE.test(string) ? JSONStringify(string) : `"${string}"`);

module.exports = { QUOTED_MAX, quoted };
