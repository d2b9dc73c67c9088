'use strict';

const { exchangeMessages, handOverSocket } = require('../exchange.js');

test('first exchanges messages', () => exchangeMessages(), 60_000);
test('first hands a socket over', () => handOverSocket(), 60_000);
