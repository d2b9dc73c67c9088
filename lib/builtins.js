'use strict';

// Modules of Node that take long to load and that most channels do not need: loaded when they are first asked for. They
// lie in Node's binary, so a process without a free descriptor can load them as well.

function lazy(name) {
  let loaded;
  return () => {
    loaded ??= require(name);
    return loaded;
  };
}

module.exports = { dgram: lazy('node:dgram'), net: lazy('node:net') };
