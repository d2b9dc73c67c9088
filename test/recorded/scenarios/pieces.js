'use strict';

const { createHash } = require('node:crypto');

exports.about = 'messages in pieces, with others behind and between them';

const digest = (text) => createHash('md5').update(text).digest('hex');
const long = (text) => text.repeat(Math.ceil(600_000 / text.length));

exports.parent = (channel, log) => {
  channel.on('message', (message) => {
    log('message', message.length, digest(message));
    if (message === 'last') channel.disconnect();
  });
  channel.send(long('ASCII '));
  channel.send({ cmd: 'NODE_BETWEEN' });
  channel.send(long('日本 '));
  channel.send('last');
};

exports.child = (channel, log) => {
  channel.on('internalMessage', ({ cmd }) => log('internalMessage', cmd));
  channel.on('message', (message) => {
    log('message', message.length, digest(message));
    channel.send(message);
  });
};
