'use strict';

// The other process of a workload. Between slices it obeys the driver (peer.js); during one the workload has the
// messages, until it says that it is through.

const { isMainThread } = require('node:worker_threads');
const { fromParent } = require('./endpoint');
const { load } = require('./workloads');

const { workload: name, endpoint } = fromParent();
const workload = load(name);
let handler = obey;

/** CPU time in us. A Worker's is counted in its process already. */
function usage() {
  if (!isMainThread) return 0;
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** The driver's { bench: 'start', count, index } begins a slice; 'exit' ends the process. */
function obey(message) {
  if (message.bench === 'exit') {
    endpoint.close();
    return;
  }
  const finish = (error) => {
    handler = obey;
    endpoint.send({ bench: 'done', cpu: usage(), error: error ? String(error.stack) : null });
  };
  handler = workload.child(endpoint, { ...message, finish });
  endpoint.send({ bench: 'ready', cpu: usage() });
}

endpoint.onMessage((message, handle) => {
  try {
    handler(message, handle);
  } catch (error) {
    endpoint.send({ bench: 'done', cpu: 0, error: error.stack });
  }
});
