'use strict';

const { exchangeMessages, handOverSocket } = require('../exchange.js');

test('second exchanges messages', () => exchangeMessages(), 60_000);
test('second hands a socket over', () => handOverSocket(), 60_000);
