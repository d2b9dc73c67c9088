'use strict';

// Packages that open channels, run under forkwire/register: `node test/ecosystem/run.js [name ...]`.
// Their pinned versions are installed from the npm registry into a temporary folder; ECOSYSTEM_FOLDER names one that
// is kept and used again. One line for each says which Node it ran on.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SCENARIOS } = require('./scenarios.js');

const ROOT = path.join(__dirname, '../..');
const REGISTER = path.join(ROOT, 'lib/register.js');
const INSTALL_LIMIT = 900_000; // ms
const RUN_LIMIT = 180_000; // ms

function check({ status, signal, stdout, stderr, error }, what) {
  if (status === 0) return stdout;
  throw new Error(`${what}: ${error?.message ?? signal ?? `exit ${status}`}\n${stdout}${stderr}`);
}

function install(folder, { packages, omitOptional }) {
  const wanted = JSON.stringify({ private: true, dependencies: packages });
  const file = path.join(folder, 'package.json');
  const isThere = fs.existsSync(path.join(folder, 'node_modules'));
  if (isThere && fs.existsSync(file) && fs.readFileSync(file, 'utf8') === wanted) return;
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(file, wanted);
  if (Object.keys(packages).length === 0) return;
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'];
  if (omitOptional) args.push('--omit=optional');
  const options = { cwd: folder, encoding: 'utf8', timeout: INSTALL_LIMIT };
  check(spawnSync('npm', args, options), 'npm install');
}

const OPTION = `--require ${REGISTER}`;

/** What tells a program, and all that it starts, to run under register; and where it is compared, what to expect. */
const UNDER_REGISTER = {
  NODE_OPTIONS: OPTION,
  RUNNER_OPTIONS: OPTION,
  FORKWIRE_EXPECTED: 'native',
};

/**
 * Runs Node, in the version that the scenario needs or else this one, under register. Where the scenario is one that
 * stock Node is to pass as well, it runs there before, and has to print the same.
 */
function runNode({ node, args, isCompared }, folder) {
  const prefix = node ? [path.join(ROOT, 'scripts/with-node.js'), node, '--'] : [];
  const env = { ...process.env, CI: 'true', NO_COLOR: '1', FORKWIRE_ROOT: ROOT };
  const options = { cwd: folder, encoding: 'utf8', timeout: RUN_LIMIT, env };
  const run = (given, more = {}) =>
    spawnSync(process.execPath, [...prefix, ...given], { ...options, env: { ...env, ...more } });
  const version = check(run(['-p', 'process.version']), 'node').trim();
  if (!isCompared) return { version, output: check(run(['--require', REGISTER, ...args]), 'run') };
  const stock = check(run(args), 'stock');
  const output = check(run(args, UNDER_REGISTER), 'run');
  if (output !== stock) throw new Error(`it printed:\n${output}\nand on stock:\n${stock}`);
  return { version, output };
}

function runScenario(name, scenario, base) {
  const folder = path.join(base, name);
  const begin = performance.now();
  install(folder, scenario);
  fs.cpSync(path.join(__dirname, 'scenarios'), path.join(folder, 'scenarios'), { recursive: true });
  const { version, output } = runNode(scenario, folder);
  if (!scenario.expected.test(output)) throw new Error(`it printed:\n${output}`);
  const packages = Object.entries(scenario.packages).map((entry) => entry.join('@'));
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  return `${packages.join(' ')}: Node ${version}, ${seconds} s`;
}

function main() {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SCENARIOS);
  const kept = process.env.ECOSYSTEM_FOLDER;
  const base = kept ?? fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-ecosystem-'));
  for (const name of names) {
    try {
      console.log(`ok      ${name}: ${runScenario(name, SCENARIOS[name], base)}`);
    } catch (error) {
      console.log(`FAILED  ${name}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  if (!kept) fs.rmSync(base, { recursive: true });
}

main();
