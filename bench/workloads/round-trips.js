'use strict';

// Questions and answers.

const { median } = require('../lib/statistics');

/** @param outstanding how many questions are open at a time */
function roundTrips({ outstanding = 1, ...workload }) {
  return {
    group: 'round-trips',
    unit: 'round trip',
    count: 500,
    ...workload,
    child(endpoint, { count, finish }) {
      let answered = 0;
      return (message) => {
        endpoint.send(message);
        if (++answered === count) finish();
      };
    },
    parent: ({ peers: [peer] }, count) =>
      new Promise((resolve) => {
        const times = new Float64Array(count);
        let asked = 0;
        let answered = 0;
        const ask = () => {
          times[asked] = performance.now();
          peer.send({ id: asked++ });
        };
        peer.listen(({ id }) => {
          if (id !== answered) throw new Error(`answer ${id} instead of ${answered}`);
          times[id] = performance.now() - times[id];
          answered++;
          if (asked < count) ask();
          if (answered < count) return;
          peer.rest();
          resolve({ p50: median(times) * 1000 });
        });
        for (let i = 0; i < Math.min(outstanding, count); i++) ask();
      }),
  };
}

const low = { forkOptions: { latency: 'low' } };

module.exports = [
  roundTrips({
    name: 'ping-pong-one-core',
    title: 'ping-pong on one core',
    cpus: '0',
    measures: [{ what: 'p50', target: 1.4 }, { what: 'cpu' }],
    subjects: ['port'],
  }),
  roundTrips({
    name: 'ping-pong-free',
    title: 'ping-pong, free placement',
    measures: [{ what: 'p50' }, { what: 'cpu' }],
    subjects: ['port', 'stock again'],
  }),
  roundTrips({
    ...low,
    name: 'ping-pong-low',
    title: "ping-pong, latency: 'low', free placement",
    measures: [{ what: 'p50', target: 4 }, { what: 'cpu' }],
  }),
  roundTrips({
    ...low,
    name: 'ping-pong-low-busy',
    title: "ping-pong, latency: 'low', all cores busy",
    busy: require('node:os').availableParallelism(),
    count: 20,
    multiple: 20,
    measures: [{ what: 'p50' }],
  }),
  roundTrips({
    name: 'outstanding-64',
    title: 'round trips, 64 outstanding',
    outstanding: 64,
    measures: [{ what: 'cpu', target: 2.3 }],
    subjects: ['port'],
  }),
];
