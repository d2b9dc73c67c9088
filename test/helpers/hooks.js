'use strict';

exports.mochaHooks = {};
