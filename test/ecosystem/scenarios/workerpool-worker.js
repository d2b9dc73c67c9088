'use strict';

const workerpool = require('workerpool');

workerpool.worker({
  protocol: () => process.channel.protocol,
  square: (i) => i * i,
  tells(count) {
    for (let i = 0; i < count; i++) workerpool.workerEmit(i);
  },
  fails() {
    throw new Error('as it was told');
  },
  sleeps: () => new Promise((resolve) => setTimeout(resolve, 60_000)),
});
