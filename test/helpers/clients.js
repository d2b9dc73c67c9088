'use strict';

// Clients of a server in a process of their own.

const { fixture } = require('./fork-fixture');
const { run } = require('./run');

/**
 * Has `count` clients connect to a server of this machine, `concurrency` at a time, each reading to the end.
 * @param patience ms after which a client without an end counts as hung
 * @returns { answered, twice, unanswered, hung, garbled }
 */
async function runClients(server, { count, concurrency = 200, patience = 60_000 }) {
  const { port } = server.address();
  const args = [fixture('clients.js'), port, count, concurrency, patience].map(String);
  const { code, stdout, stderr } = await run(process.execPath, args);
  if (code !== 0) throw new Error(`the clients failed: ${stderr}`);
  return JSON.parse(stdout);
}

module.exports = { runClients };
