'use strict';

const dgram = require('node:dgram');
const net = require('node:net');

exports.about = 'one handle of each kind and type, each echoed';

const close = (handle) => (handle.destroy ? handle.destroy() : handle.close());

async function open() {
  const server = net.createServer({ pauseOnConnect: true });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const udp4 = dgram.createSocket('udp4');
  await new Promise((resolve) => udp4.bind(0, '127.0.0.1', resolve));
  const accepted = new Promise((resolve) => server.once('connection', resolve));
  const client = net.connect(server.address().port, '127.0.0.1');
  const socket = await accepted;
  return { handles: [server, udp4, server._handle, socket], clients: [client] };
}

exports.parent = async (channel, log) => {
  const { handles, clients } = await open();
  let left = handles.length;
  channel.on('message', (message, handle) => {
    log('message', message, handle.constructor.name);
    close(handle);
    if (--left > 0) return;
    for (const client of clients) client.destroy();
    for (const own of [handles[0], handles[1]]) own.close();
    channel.disconnect();
  });
  for (const handle of handles) channel.send(handle.constructor.name, handle, { keepOpen: false });
};

exports.child = (channel, log) => {
  channel.on('message', (message, handle) => {
    log('message', message, handle.constructor.name);
    channel.send(message, handle);
    if (!(handle instanceof net.Socket)) handle.close();
  });
};
