'use strict';

// A child of start.js: answers every connection that it is given, with a proper HTTP response.

const BODY = 'Child handled it.';
const RESPONSE = [
  'HTTP/1.1 200 OK',
  'Content-Type: text/plain',
  `Content-Length: ${BODY.length}`,
  'Connection: close',
  '',
  BODY,
].join('\r\n');

process.on('message', (_message, socket) => {
  if (!socket) return;
  const client = `${socket.remoteAddress}:${socket.remotePort}`;
  socket.on('error', () => {}); // a client that goes away is not our end
  socket.end(RESPONSE);
  if (process.connected) process.send({ answered: client });
});

// Ctrl-C reaches the whole group; the parent says when it is over.
process.on('SIGINT', () => {});
