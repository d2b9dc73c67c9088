const test = require('ava').default ?? require('ava');
const { exchangeMessages, handOverSocket } = require('../exchange.js');

test('second exchanges messages', async (t) => {
  await exchangeMessages();
  t.pass();
});
test('second hands a socket over', async (t) => {
  await handOverSocket();
  t.is(process.channel.protocol, 'native');
});
