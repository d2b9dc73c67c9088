'use strict';

const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ noServer: true });

process.on('message', ({ url, method, headers, head }, socket) => {
  if (!socket) return;
  const request = { url, method, headers, socket };
  server.handleUpgrade(request, socket, Buffer.from(head, 'base64'), (client) => {
    client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
    client.on('close', (code) => process.send({ closed: code }));
  });
});
