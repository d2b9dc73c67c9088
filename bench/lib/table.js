'use strict';

// The results as text.

const { isMet, measures, targetText, times } = require('./measures');

const HEADER = [
  'workload',
  'measure',
  'stock',
  'forkwire',
  'ratio (min - max)',
  'target',
  '',
  'others',
];

const round = (number) =>
  number >= 1000
    ? Math.round(number).toLocaleString('en')
    : Number(number.toPrecision(3)).toString();

function othersText({ ratios }) {
  const names = Object.keys(ratios).filter((name) => name !== 'stock' && name !== 'forkwire');
  return names.map((name) => `${name} ${times(ratios[name].median)}`).join(', ');
}

function medians({ values, ratios }) {
  return {
    stock: values.stock.median,
    own: values.forkwire.median,
    ratio: ratios.forkwire.median,
  };
}

function cells(title, row) {
  const { stock, own, ratio } = medians(row);
  const { unit } = measures[row.what];
  const { min, max } = row.ratios.forkwire;
  return [
    title,
    measures[row.what].title,
    `${round(stock)} ${unit}`,
    `${round(own)} ${unit}`,
    `${times(ratio)} (${times(min)} - ${times(max)})`,
    targetText(row),
    isMet(row, medians(row)) ? 'met' : 'NOT MET',
    othersText(row),
  ];
}

const aligned = (columns, widths) =>
  columns
    .map((text, i) => text.padEnd(widths[i]))
    .join('  ')
    .trimEnd();

/** Lines for the rows of one or more workloads. */
function lines(results, { hasHeader = true } = {}) {
  const rows = results.flatMap(({ title, rows: own }) => own.map((row) => cells(title, row)));
  const widths = [46, 24, 16, 16, 26, 12, 8, 0];
  const head = hasHeader ? [aligned(HEADER, widths)] : [];
  return [...head, ...rows.map((row) => aligned(row, widths))];
}

const markdownRow = (columns) => `| ${columns.join(' | ')} |`;

/** The same for a document. */
function markdown(results) {
  const rows = results.flatMap(({ title, rows: own }) => own.map((row) => cells(title, row)));
  return [HEADER, HEADER.map(() => '---'), ...rows].map(markdownRow).join('\n');
}

module.exports = { lines, markdown, medians };
