'use strict';

const assert = require('node:assert/strict');
const { exchangeMessages, handOverSocket } = require('../exchange.js');

describe('second', function () {
  this.timeout(60_000);

  it('exchanges messages', () => exchangeMessages());
  it('hands a socket over', () => handOverSocket());

  after(() => assert.ok(process.channel === undefined || process.channel.protocol === 'native'));
});
