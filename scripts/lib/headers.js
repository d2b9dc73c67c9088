'use strict';

// Finds a folder whose include/node holds the headers of exactly the Node that runs, the nearest source first.

const fs = require('node:fs');
const path = require('node:path');
const { BuildError, say } = require('./say.js');
const { fetchPackage, nodePackageName } = require('./npm-package.js');
const { runNodeGyp } = require('./node-gyp.js');

const ROOT = path.join(__dirname, '../..');
const NEEDED = ['node_version.h', 'node_api.h', 'uv.h', 'common.gypi', 'config.gypi'];

// npm's old way for any setting, npm 11's way for those of node-gyp, and the plain one.
const VARIABLES = ['npm_package_config_node_gyp_nodedir', 'npm_config_nodedir', 'NODEDIR'];

/** The version that include/node under `nodedir` is of, or null if that is not a whole set of headers. */
function headersVersion(nodedir) {
  const include = path.join(nodedir, 'include/node');
  if (!NEEDED.every((name) => fs.existsSync(path.join(include, name)))) return null;
  const text = fs.readFileSync(path.join(include, 'node_version.h'), 'utf8');
  const part = (name) => text.match(new RegExp(`#define NODE_${name}_VERSION (\\d+)`))?.[1];
  return ['MAJOR', 'MINOR', 'PATCH'].map(part).join('.');
}

function fits(nodedir, host) {
  return headersVersion(nodedir) === host.version;
}

function variable(env, wanted) {
  const name = Object.keys(env).find((key) => key.toLowerCase() === wanted.toLowerCase());
  return name && env[name];
}

function fromEnvironment(host) {
  for (const name of VARIABLES) {
    const nodedir = variable(host.env, name);
    if (!nodedir) continue;
    if (fits(nodedir, host)) return nodedir;
    const found = headersVersion(nodedir);
    const what = found ? `holds the headers of Node ${found}` : 'holds no headers';
    host.say(`${nodedir} (${name}) ${what}, not those of ${host.version}: looking elsewhere`);
  }
  return null;
}

function besideNode(host) {
  const nodedir = path.join(path.dirname(host.execPath), '..');
  return fits(nodedir, host) ? nodedir : null;
}

function fromNpm(host) {
  const nodedir = path.join(host.cache, 'headers', host.version);
  if (fits(nodedir, host)) return nodedir;
  const name = nodePackageName(host);
  try {
    host.say(`fetching the headers of Node ${host.version} (npm package ${name})`);
    host.fetchPackage(`${name}@${host.version}`, nodedir, ['include'], host);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    host.say(error.message);
  }
  return fits(nodedir, host) ? nodedir : null;
}

function fromNodeGyp(host) {
  const devdir = variable(host.env, 'npm_config_devdir') ?? path.join(host.cache, 'devdir');
  const nodedir = path.join(devdir, host.version);
  if (fits(nodedir, host)) return nodedir;
  host.say(`fetching the headers of Node ${host.version} (node-gyp)`);
  host.runNodeGyp(['install', '--ensure', `--devdir=${devdir}`], host);
  return fits(nodedir, host) ? nodedir : null;
}

function thisHost() {
  const { env, execPath, platform, arch } = process;
  const version = process.versions.node.split('-')[0];
  const cache = path.join(ROOT, 'build');
  return {
    env,
    execPath,
    platform,
    arch,
    version,
    cache,
    cwd: ROOT,
    say,
    fetchPackage,
    runNodeGyp,
  };
}

/** The folder to give to node-gyp as --nodedir. Tests replace parts of the host. */
function findHeaders(replaced = {}) {
  const host = { ...thisHost(), ...replaced };
  const nodedir = fromEnvironment(host) ?? besideNode(host) ?? fromNpm(host) ?? fromNodeGyp(host);
  if (nodedir) return nodedir;
  throw new BuildError(`the headers of Node ${host.version} could not be found or fetched.`);
}

module.exports = { findHeaders };
