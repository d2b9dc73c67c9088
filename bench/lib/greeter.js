'use strict';

// A child with nothing but a first message.

process.send('up');
