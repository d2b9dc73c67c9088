'use strict';

// Fetches a package with the user's own npm (its registry, proxy and cache settings apply) and unpacks a part of it.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { BuildError } = require('./say.js');

// What the npm that runs us was asked to do must not be done by the npm that we run.
const NOT_INHERITED =
  /^npm_config_(dry_run|global|location|workspaces?|include_workspace_root|json|loglevel|pack_destination)$/i;

// npm's names where they differ from process.arch.
const NPM_ARCH = { arm: 'armv7l', ppc64: 'ppc64le' };

/** The package that holds Node itself: bin/node and include/node. */
function nodePackageName({ platform, arch }) {
  return `node-${platform}-${NPM_ARCH[arch] ?? arch}`;
}

function npmCommand(env, execPath) {
  const bundled = path.join(path.dirname(execPath), '../lib/node_modules/npm/bin/npm-cli.js');
  const candidates = [env.npm_execpath, bundled];
  const script = candidates.find((file) => file?.endsWith('npm-cli.js') && fs.existsSync(file));
  return script ? [execPath, script] : ['npm'];
}

function run(command, args, options) {
  const result = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (result.status === 0) return result.stdout;
  const told = (result.error?.message ?? result.stderr ?? '').split('\n');
  const reason = told.find((line) => /error/i.test(line)) ?? told[0];
  throw new BuildError(`${path.basename(command)} ${args[0]} failed: ${reason.trim()}`);
}

function packInto(folder, spec, { env, execPath, cwd }) {
  const [command, ...first] = npmCommand(env, execPath);
  const clean = Object.entries(env).filter(([name]) => !NOT_INHERITED.test(name));
  const args = [...first, 'pack', spec, '--pack-destination', folder, '--ignore-scripts'];
  run(command, args, { cwd, env: Object.fromEntries(clean) });
  return path.join(
    folder,
    fs.readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
}

/**
 * Unpacks `members` (paths inside the package) of the package `spec` into `target`, which appears whole or not at all.
 * Throws a BuildError that says why it could not.
 */
function fetchPackage(spec, target, members, host) {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const folder = fs.mkdtempSync(`${target}.part-`);
  try {
    const archive = packInto(folder, spec, host);
    const wanted = members.map((member) => `package/${member}`);
    run('tar', ['-xzf', archive, '-C', folder, ...wanted], { env: host.env });
    fs.rmSync(target, { recursive: true, force: true });
    fs.renameSync(path.join(folder, 'package'), target);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { fetchPackage, nodePackageName, npmCommand };
