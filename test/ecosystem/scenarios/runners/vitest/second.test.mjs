import assert from 'node:assert/strict';
import { test } from 'vitest';
import exchange from '../exchange.js';

test('second exchanges messages', () => exchange.exchangeMessages(), 60_000);
test('second hands a socket over', async () => {
  await exchange.handOverSocket();
  assert.equal(process.channel.protocol, 'native');
}, 60_000);
