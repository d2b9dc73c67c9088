'use strict';

// process.getActiveResourcesInfo(): an open channel that keeps the process alive is listed as in stock, where it is a Pipe.

const { nodeProcess, setProperty } = require('./primordials');

const open = new Set(); // channels

let isInstalled = false;

function install() {
  const { getActiveResourcesInfo: original } = nodeProcess;
  if (isInstalled || typeof original !== 'function') return;
  isInstalled = true;
  function getActiveResourcesInfo(...args) {
    const names = Reflect.apply(original, this, args);
    for (const channel of open) if (channel.isHolding) names.push('PipeWrap');
    return names;
  }
  setProperty(nodeProcess, 'getActiveResourcesInfo', getActiveResourcesInfo);
}

function showAmongResources(channel) {
  install();
  open.add(channel);
  channel.onClosed = () => open.delete(channel);
}

module.exports = { showAmongResources };
