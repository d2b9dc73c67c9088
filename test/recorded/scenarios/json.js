'use strict';

exports.about = "messages of serialization 'json', echoed: JSON texts and strings in each encoding";

const messages = [
  { plain: true, list: [1, 2.5, -0, null], text: 'naïve — 日本 😀' },
  '',
  'ASCII',
  'Latin-1: ÿ\0',
  'beyond: — 日本',
  'astral: 😀',
  `${'long '.repeat(200)}日`,
  42,
  -1.5e300,
  true,
  null,
  [],
  [[['deep']]],
  { cmd: 'NODE_' },
];

exports.parent = (channel, log) => {
  let count = 0;
  channel.on('message', (message) => {
    log('message', message);
    if (++count === messages.length) channel.disconnect();
  });
  for (const message of messages) channel.send(message);
};

exports.child = (channel, log) => {
  channel.on('message', (message) => {
    log('message', message);
    channel.send(message);
  });
};
