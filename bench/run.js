'use strict';

// npm run bench: stock child_process and forkwire side by side. See docs/performance.md.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { svg } = require('./lib/chart');
const { run, summarize } = require('./lib/interleave');
const machine = require('./lib/machine');
const { isMet } = require('./lib/measures');
const { lines, markdown, medians } = require('./lib/table');
const { all } = require('./lib/workloads');

const HELP = `npm run bench -- [options]

  --quick          fewer and shorter slices: a look in about a minute, not figures
  --only WORD,...  workloads whose name contains one of these
  --list           names of the workloads
  --node VERSION   with another Node, through scripts/with-node.js
  --rounds N       5, 9 of fresh processes; 2 with --quick
  --json FILE      write all figures
  --svg FILE       write a chart
  --markdown FILE  write the table for a document
  --strict         exit code 1 when a target is not met
`;

const OPTIONS = {
  quick: { type: 'boolean' },
  only: { type: 'string' },
  list: { type: 'boolean' },
  node: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'string' },
  svg: { type: 'string' },
  markdown: { type: 'string' },
  strict: { type: 'boolean' },
  help: { type: 'boolean' },
};

/** The same with another Node. */
function runWith(version) {
  const script = path.join(__dirname, '../scripts/with-node.js');
  const rest = process.argv.slice(2).filter((arg, i, args) => {
    return arg !== '--node' && args[i - 1] !== '--node' && !arg.startsWith('--node=');
  });
  const args = [script, version, '--', __filename, ...rest];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
}

function selected(only) {
  const words = only?.split(',') ?? [''];
  return all().filter(({ name }) => words.some((word) => name.includes(word)));
}

const headline = ({ node, cpu, cpus, load, user, wmemMax }) =>
  `Node ${node}, ${cpu} x ${cpus}, load ${load.join(' ')}, ${user}, net.core.wmem_max ${wmemMax}`;

async function measure(workload, options) {
  const result = await run(workload, options);
  const rows = workload.measures.map((row) => summarize(result, row));
  const { name, title, unit } = workload;
  return { name, title, unit, counts: result.counts, rows };
}

async function measureAll(workloads, options) {
  const results = [];
  for (const [i, workload] of workloads.entries()) {
    const result = await measure(workload, options);
    results.push(result);
    for (const line of lines([result], { hasHeader: i === 0 })) console.log(line);
  }
  return results;
}

function write(file, content) {
  fs.writeFileSync(file, content);
  console.log(`wrote ${file}`);
}

function settings({ quick, rounds }) {
  const isQuick = quick === true;
  const areRoundsGiven = rounds !== undefined;
  const count = Number(rounds ?? (isQuick ? 2 : 5));
  return isQuick
    ? {
        isQuick,
        areRoundsGiven,
        rounds: count,
        slices: 1,
        sliceTime: 30,
        warmSlices: 1,
        warmTime: 50,
      }
    : {
        isQuick,
        areRoundsGiven,
        rounds: count,
        slices: 3,
        sliceTime: 100,
        warmSlices: 3,
        warmTime: 4000,
      };
}

async function main() {
  const options = parseArgs({ options: OPTIONS }).values;
  const workloads = selected(options.only);
  if (options.help) return process.stdout.write(HELP);
  if (options.list) return console.log(workloads.map(({ name }) => name).join('\n'));
  if (options.node) return runWith(options.node);
  const before = machine.describe();
  console.log(headline(before));
  const results = { machine: before, workloads: await measureAll(workloads, settings(options)) };
  console.log(`load at the end: ${machine.describe().load.join(' ')}`);
  if (options.json) write(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.svg) write(options.svg, svg(results));
  if (options.markdown) {
    write(options.markdown, `${headline(before)}\n\n${markdown(results.workloads)}\n`);
  }
  const rows = results.workloads.flatMap((each) => each.rows);
  const missed = rows.filter((row) => !isMet(row, medians(row)));
  console.log(`${rows.length - missed.length} of ${rows.length} targets met`);
  if (options.strict && missed.length > 0) process.exitCode = 1;
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
