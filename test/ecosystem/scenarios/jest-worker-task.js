'use strict';

module.exports = {
  protocol: () => process.channel.protocol,
  square: (i) => i * i,
  fails() {
    throw new Error('as it was told');
  },
};
