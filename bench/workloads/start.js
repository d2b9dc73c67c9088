'use strict';

// From fork() to the child's first message.

const { once } = require('node:events');
const path = require('node:path');
const { forkOf } = require('../lib/endpoint');
const { median } = require('../lib/statistics');

const GREETER = path.join(__dirname, '../lib/greeter.js');

module.exports = {
  name: 'start-up',
  title: 'start-up',
  unit: 'child',
  group: 'start',
  measures: [{ what: 'startUp', target: 3 }],
  children: 0,
  count: 5,
  fixed: true,
  quickCount: 3,

  async parent({ subject }, count) {
    const times = [];
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      const child = forkOf(subject)(GREETER);
      await once(child, 'message');
      times.push(1000 * (performance.now() - start));
      child.disconnect();
      await once(child, 'exit');
    }
    return { p50: median(times) };
  },
};
