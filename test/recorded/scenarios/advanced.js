'use strict';

const { inspect } = require('node:util');

exports.about =
  "messages of serialization 'advanced', echoed: values in V8's format, Buffers as bytes";
exports.serialization = 'advanced';

const messages = () => [
  new Map([[{ key: 1 }, new Set([1n, 'x'])]]),
  Buffer.from('00ff807b', 'hex'),
  { nested: Buffer.from('abc'), floats: new Float64Array([1, -0, NaN]) },
  [undefined, new Date(86_400_000), /re/gu],
  'text 😀',
  { error: Object.assign(new RangeError('out'), { stack: 'none' }) },
  12345678901234567890n > 1n,
];

exports.parent = (channel, log) => {
  let left = messages().length;
  channel.on('message', (message) => {
    log('message', inspect(message, { depth: 5 }));
    if (--left === 0) channel.disconnect();
  });
  for (const message of messages()) channel.send(message);
};

exports.child = (channel, log) => {
  channel.on('message', (message) => {
    log('message', inspect(message, { depth: 5 }));
    channel.send(message);
  });
};
