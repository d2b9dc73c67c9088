'use strict';

// Bundlers. Where forkwire is external the bundle runs, and its children are on the native wire; where it was made a part
// of the bundle, the first thing that is said is what to do. A single executable's children get stock Node's wire.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const esbuild = require('esbuild');
const rollup = require('rollup');
const webpack = require('webpack');
const commonjs = require('@rollup/plugin-commonjs');
const { nodeResolve } = require('@rollup/plugin-node-resolve');

const BASE = path.join(__dirname, '..');
const DIST = path.join(BASE, 'dist');
const NCC = path.join(BASE, 'node_modules/.bin/ncc');
const POSTJECT = path.join(BASE, 'node_modules/.bin/postject');
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const BODY = `
if (process.env.IS_CHILD) {
  process.once('message', (message) => process.send(message.toUpperCase(), () => process.disconnect()));
} else {
  const child = fork(process.argv[1], [], { env: { ...process.env, IS_CHILD: '1' } });
  const { protocol } = child.channel;
  child.on('message', (message) => console.log(message, protocol));
  child.send('hello');
}
`;
const SOURCES = {
  'app.cjs': `const { fork } = require('forkwire');${BODY}`,
  'app.mjs': `import { fork } from 'forkwire';${BODY}`,
  'unchanged.cjs': `const { fork } = require('node:child_process');${BODY}`,
};
const source = (name) => path.join(DIST, `in-${name}`);
const output = (name) => path.join(DIST, name);

/** forkwire as it would be installed: a bundler follows links. */
function installForkwire() {
  const root = process.env.FORKWIRE_ROOT;
  const folder = path.join(BASE, 'node_modules/forkwire');
  for (const part of ['package.json', 'lib', 'build/Release/forkwire.node']) {
    fs.cpSync(path.join(root, part), path.join(folder, part), { recursive: true });
  }
}

const bundlers = {
  esbuild: (name, isExternal) => build(name, isExternal, {}),
  'esbuild, minified': (name, isExternal) => build(name, isExternal, { minify: true }),
  webpack: (name, isExternal) => pack(name, isExternal, {}),
  // A common setting: then __filename is that of the source.
  'webpack, with node.__filename': (name, isExternal) =>
    pack(name, isExternal, { node: { __filename: true, __dirname: true } }),

  async rollup(name, isExternal) {
    const external = [/^node:/, ...(isExternal ? ['forkwire'] : [])];
    const bundle = await rollup.rollup({
      input: source(name),
      external,
      plugins: [nodeResolve({ preferBuiltins: true }), commonjs()],
      onwarn() {},
    });
    const format = name.endsWith('.mjs') ? 'es' : 'cjs';
    await bundle.write({ file: output(name), format, inlineDynamicImports: true });
  },

  ncc(name, isExternal) {
    const external = isExternal ? ['-e', 'forkwire'] : [];
    execFileSync(NCC, ['build', source(name), '-o', `${DIST}/ncc`, '-q', ...external]);
    const made = fs.readdirSync(`${DIST}/ncc`).find((file) => file.startsWith('index'));
    fs.renameSync(`${DIST}/ncc/${made}`, output(name));
    fs.rmSync(`${DIST}/ncc`, { recursive: true });
  },
};

function build(name, isExternal, more) {
  return esbuild.build({
    entryPoints: [source(name)],
    bundle: true,
    platform: 'node',
    format: name.endsWith('.mjs') ? 'esm' : 'cjs',
    external: isExternal ? ['forkwire'] : [],
    outfile: output(name),
    logLevel: 'error',
    ...more,
  });
}

function pack(name, isExternal, more) {
  const isModule = name.endsWith('.mjs');
  const options = {
    mode: 'production',
    target: 'node',
    entry: source(name),
    externals: isExternal ? { forkwire: isModule ? 'module forkwire' : 'commonjs forkwire' } : {},
    output: { path: DIST, filename: name, ...(isModule && { module: true }) },
    experiments: isModule ? { outputModule: true } : {},
    ...more,
  };
  return new Promise((resolve, reject) => {
    webpack(options, (error, stats) => {
      if (error || stats.hasErrors()) reject(error ?? new Error(stats.toString('errors-only')));
      else resolve();
    });
  });
}

/** Without what this process was started with. */
function run(command, args, env = {}) {
  const { NODE_OPTIONS: _, ...rest } = process.env;
  return spawnSync(command, args, { encoding: 'utf8', cwd: '/', env: { ...rest, ...env } });
}

async function tryBundler(how, name) {
  await bundlers[how](name, true);
  const external = run(process.execPath, [output(name)]);
  assert.deepEqual([external.stdout, external.stderr], ['HELLO native\n', ''], `${how} ${name}`);
  await bundlers[how](name, false);
  const { status, stderr } = run(process.execPath, [output(name)]);
  assert.match(stderr, /cannot be part of a bundle.*make it external/, `${how} ${name}`);
  assert.match(stderr, /ERR_FORKWIRE_BUNDLED/);
  assert.equal(status, 1);
}

/** A bundled command line program that knows nothing of forkwire, under register. */
async function tryUnchanged() {
  await bundlers['esbuild, minified']('unchanged.cjs', true);
  const register = path.join(BASE, 'node_modules/forkwire/lib/register.js');
  const { stdout, stderr } = run(process.execPath, ['-r', register, output('unchanged.cjs')]);
  assert.deepEqual([stdout, stderr], ['HELLO native\n', '']);
}

/** Node's own single executables. Their children are themselves, and run no preload. */
function trySingleExecutable() {
  const main = output('main.cjs');
  const head = `const { fork } = require('node:module').createRequire('${BASE}/x.js')('forkwire');`;
  fs.writeFileSync(main, head + BODY);
  const blob = output('main.blob');
  const config = { main, output: blob, disableExperimentalSEAWarning: true };
  fs.writeFileSync(output('sea.json'), JSON.stringify(config));
  const quiet = { stdio: 'pipe' };
  execFileSync(process.execPath, ['--experimental-sea-config', output('sea.json')], quiet);
  const program = output('program');
  fs.copyFileSync(process.execPath, program);
  execFileSync(POSTJECT, [program, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE], quiet);
  const { stdout, stderr } = run(program, []);
  assert.deepEqual([stdout, stderr], ['HELLO node\n', '']);
}

async function main() {
  installForkwire();
  fs.rmSync(DIST, { recursive: true, force: true });
  fs.mkdirSync(DIST);
  for (const [name, text] of Object.entries(SOURCES)) fs.writeFileSync(source(name), text);
  for (const how of Object.keys(bundlers)) {
    await tryBundler(how, 'app.cjs');
    await tryBundler(how, 'app.mjs');
  }
  await tryUnchanged();
  trySingleExecutable();
  console.log('all passed');
}

main();
