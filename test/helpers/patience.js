'use strict';

// How long a test waits for what has to happen. Only a test that fails waits so long: this bound is for machines
// with many times more to do than they can, and says nothing of how quick anything is.

module.exports = { PATIENCE_MS: 60_000 };
