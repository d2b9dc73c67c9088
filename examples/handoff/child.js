process.on('message', (m, socket) => {
  if (m === 'socket') {
    socket.end('Child handled it.');
  }
});
