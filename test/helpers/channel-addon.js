'use strict';

// Builds and loads test/channel: the core's channel without lib/ and src/binding/. The core is that of the addon itself.

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { buildAddon } = require('./build-addon');

/** The addon's functions; see test/channel/channel_addon.c. */
function loadChannelAddon() {
  // What stands in build/Release may be of an earlier state of the sources.
  const script = path.join(__dirname, '../../scripts/build.js');
  execFileSync(process.execPath, [script], { stdio: ['ignore', 'ignore', 'inherit'] });
  const core = 'build/Release/forkwire_core.a';
  return require(buildAddon('channel/channel_addon.c', 'channel-test/channel', [core]));
}

module.exports = { loadChannelAddon };
