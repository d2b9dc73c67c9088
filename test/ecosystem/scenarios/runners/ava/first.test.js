const test = require('ava').default ?? require('ava');
const { exchangeMessages, handOverSocket } = require('../exchange.js');

test('first exchanges messages', async (t) => {
  await exchangeMessages();
  t.pass();
});
test('first hands a socket over', async (t) => {
  await handOverSocket();
  t.is(process.channel.protocol, 'native');
});
