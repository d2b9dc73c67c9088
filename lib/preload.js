'use strict';

// The first thing a child with a native channel runs. Does nothing in Workers, which run preloads as well.

if (process.env.FORKWIRE_CHANNEL !== undefined && process.abort?.disabled !== true)
  require('./loader').load('./child', module).takeChannel(__filename);
