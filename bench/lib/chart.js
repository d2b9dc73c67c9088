'use strict';

// The results as a bar chart: how many times less forkwire needs than stock, on a logarithmic scale.

const { measures, times } = require('./measures');

const ROW = 22;
const LEFT = 380;
const WIDTH = 420;
const TOP = 56;
const RIGHT = 70;
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

const text = (x, y, content, attributes = '') =>
  `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`;

function bar({ label, ratio }, i, scale) {
  const y = TOP + i * ROW;
  const width = Math.max(1, scale(ratio));
  return [
    text(LEFT - 8, y + 15, label, 'text-anchor="end"'),
    `<rect x="${LEFT}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 6}" class="bar"/>`,
    text(LEFT + width + 6, y + 15, times(ratio)),
  ].join('\n');
}

function grid(max, scale, height) {
  const ticks = TICKS.filter((tick) => tick <= max);
  return ticks.map((tick) => {
    const x = (LEFT + scale(tick)).toFixed(1);
    const line = `<line x1="${x}" y1="${TOP}" x2="${x}" y2="${height - 8}" class="grid"/>`;
    return `${line}\n${text(x, TOP - 6, `${tick}x`, 'text-anchor="middle" class="small"')}`;
  });
}

const STYLE = `<style>
text { font: 13px sans-serif; fill: #333 } .small { font-size: 11px; fill: #666 }
.bar { fill: #2f6f9f } .grid { stroke: #ddd }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .small { fill: #aaa } .grid { stroke: #444 } .bar { fill: #5aa0d0 } }
</style>`;

/** @param results as in the JSON file; gives the text of an SVG image */
function svg({ machine, workloads }) {
  const bars = workloads.flatMap(({ title, rows }) =>
    rows
      .filter(({ what }) => !measures[what].judge)
      .map(({ what, ratios }) => ({
        label: `${title}, ${measures[what].title === 'CPU of both processes' ? 'CPU' : measures[what].title}`,
        ratio: ratios.forkwire.median,
      })),
  );
  const max = Math.max(2, ...bars.map(({ ratio }) => ratio));
  const scale = (ratio) => (WIDTH * Math.log(Math.max(ratio, 1))) / Math.log(max);
  const height = TOP + bars.length * ROW + 12;
  const width = LEFT + WIDTH + RIGHT;
  const heading = `forkwire against child_process of Node ${machine.node}: times better, CPU of both processes unless it says otherwise`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    STYLE,
    text(8, 20, heading),
    text(8, 38, `${machine.cpu}, ${machine.cpus} CPUs`, 'class="small"'),
    ...grid(max, scale, height),
    ...bars.map((each, i) => bar(each, i, scale)),
    '</svg>\n',
  ].join('\n');
}

module.exports = { svg };
