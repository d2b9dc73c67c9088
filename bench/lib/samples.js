'use strict';

// What messages are made of.

/** 60 bytes of JSON. */
const makeObject = (i) => ({ id: i, type: 'update', name: 'sensor-17', value: 21.5 });

const FIELDS = Array.from({ length: 60 }, (_, i) => ({
  id: i,
  title: `field ${i} of a document`,
  tags: ['a', 'b'],
}));

/** 4 KiB of JSON. */
const makeDocument = (i) => ({ id: i, fields: FIELDS });

module.exports = { makeDocument, makeObject };
