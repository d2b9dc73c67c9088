'use strict';

// The first thing a child with a native channel runs. Does nothing in Workers, which run preloads as well.

if (process.env.FORKWIRE_CHANNEL !== undefined) {
  const { OF_HANDLES, load, readAhead } = require('./loader');
  if (load('./node-internals', module).isMainThread()) {
    load('./child', module).takeChannel(__filename);
    readAhead(OF_HANDLES);
  }
}
