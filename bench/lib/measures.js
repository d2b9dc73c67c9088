'use strict';

// What is compared, from the slices of a round: a value of each subject, and how many times better forkwire's is.

const { median, sum } = require('./statistics');

const total = (slices, key) => sum(slices.map((slice) => slice[key]));
const times = (factor) => `${factor.toFixed(factor < 10 ? 2 : 1)}x`;

/** Less is better: stock's share of ours. */
const less = (stock, own) => stock / own;
const more = (stock, own) => own / stock;

const measures = {
  cpu: {
    title: 'CPU of both processes',
    unit: 'us',
    value: (slices) => total(slices, 'cpu') / total(slices, 'count'),
    compare: less,
  },
  rate: {
    title: 'rate',
    unit: '/s',
    value: (slices) => (1000 * total(slices, 'count')) / total(slices, 'wall'),
    compare: more,
  },
  time: {
    title: 'time',
    unit: 'us',
    value: (slices) => (1000 * total(slices, 'wall')) / total(slices, 'count'),
    compare: less,
  },
  p50: {
    title: 'p50',
    unit: 'us',
    value: (slices) => median(slices.map(({ p50 }) => p50)),
    compare: less,
  },
  stall: {
    title: 'stall of the event loop',
    unit: 'ms',
    value: (slices) => median(slices.map(({ stall }) => stall)),
    compare: less,
  },
  memory: {
    title: 'memory',
    unit: 'bytes',
    value: (slices) => median(slices.map(({ memory }) => memory)),
    compare: less,
    judge: 'own value',
  },
  startUp: {
    title: 'fork to first message',
    unit: 'ms',
    value: (slices) => median(slices.map(({ p50 }) => p50 / 1000)),
    compare: less,
    judge: 'difference',
  },
  startCpu: {
    title: 'CPU, fork to first message',
    unit: 'ms',
    value: (slices) => median(slices.map(({ startCpu }) => startCpu)),
    compare: less,
  },
  startTime: {
    title: 'fork to first message',
    unit: 'ms',
    value: (slices) => median(slices.map(({ startTime }) => startTime)),
    compare: less,
  },
  requireCpu: {
    title: 'CPU of require()',
    unit: 'ms',
    value: (slices) => median(slices.map(({ requireCpu }) => requireCpu)),
    compare: less,
    judge: 'difference',
  },
  treeCpu: {
    title: 'CPU of both, in all',
    unit: 'ms',
    value: (slices) => median(slices.map(({ treeCpu }) => treeCpu)),
    compare: less,
    judge: 'difference',
  },
};

/** What a target means, in words. */
function targetText({ what, target, unit }) {
  if (target === undefined) return '1x';
  const { judge } = measures[what];
  if (judge === 'own value') return `<= ${target} ${unit ?? measures[what].unit}`;
  if (judge === 'difference') return `<= +${target} ms`;
  return `${target}x`;
}

/** Whether medians meet a target; without one nothing may be worse than stock (within what is noise). */
function isMet({ what, target = 1 }, { stock, own, ratio }) {
  const { judge } = measures[what];
  if (judge === 'own value') return own <= target;
  if (judge === 'difference') return own - stock <= target;
  return ratio >= target;
}

module.exports = { isMet, measures, targetText, times };
