'use strict';

exports.about = 'more messages than the first credit covers: CREDIT';

const COUNT = 90;
const message = 'x'.repeat(250_000);

exports.parent = (channel, log) => {
  for (let i = 0; i < COUNT; i++) channel.send(message);
  channel.on('message', (got) => {
    log('message', got);
    channel.disconnect();
  });
};

exports.child = (channel, log) => {
  let count = 0;
  let size = 0;
  channel.on('message', (got) => {
    size += got.length;
    if (++count < COUNT) return;
    log('messages', count, size);
    channel.send('all');
  });
};
