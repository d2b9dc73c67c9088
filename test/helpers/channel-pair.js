'use strict';

// Two ends of one channel in this process: real sockets, the real addon, two event emitters in place of a child and of
// `process`.

const EventEmitter = require('node:events');
const attachment = require('../../lib/attach');

/** @param each [options of the left end, options of the right end], beyond the usual ones */
function channelPair(each = [{}, {}]) {
  return attachment.socketPair().map((fd, i) => {
    const target = new EventEmitter();
    const usual = { serialization: 'json', trace: '', endsWithClose: false };
    const channel = attachment.attach(target, { fd, ...usual, ...each[i] });
    return { target, channel };
  });
}

module.exports = { channelPair };
