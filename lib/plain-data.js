'use strict';

// Which values JSON brings across exactly as V8's serializer would: then 'advanced' sends them as JSON, which is several
// times cheaper. Nothing of the user's runs here: properties are looked at, not read.

const { isProxy } = require('node:util').types;

// Beyond these V8's serializer is as good.
const MAX_DEPTH = 8;
const MAX_OBJECTS = 32;
const MAX_ELEMENTS = 64;
const MAX_STRING = 1024;

const { getOwnPropertyDescriptor, getPrototypeOf, keys } = Object;
const classOf = (object) => Object.prototype.toString.call(object);

/** JSON has no NaN, no Infinity and no -0. */
const isPlainNumber = (number) => Number.isFinite(number) && !Object.is(number, -0);

/** JSON.stringify() would call it. */
const isToJSONDefined = () => 'toJSON' in Object.prototype || 'toJSON' in Array.prototype;

/** Functions, symbols, undefined and BigInts are the ones that are left. */
function isPlainValue(value, seen, depth) {
  switch (typeof value) {
    case 'string':
      return value.length <= MAX_STRING;
    case 'number':
      return isPlainNumber(value);
    case 'boolean':
      return true;
    case 'object':
      return value === null || isPlainObject(value, seen, depth);
    default:
      return false;
  }
}

/** A data property: no getter, no hole. */
function isPlainProperty(object, key, seen, depth) {
  const descriptor = getOwnPropertyDescriptor(object, key);
  if (descriptor === undefined || descriptor.get || descriptor.set) return false;
  return isPlainValue(descriptor.value, seen, depth + 1);
}

/** The same keys as its elements: what else it may hold, V8 would bring across. */
function isPlainArray(array, seen, depth) {
  if (array.length > MAX_ELEMENTS || getPrototypeOf(array) !== Array.prototype) return false;
  const names = keys(array);
  return names.length === array.length && arePlain(array, names, seen, depth);
}

function arePlain(object, names, seen, depth) {
  for (const name of names) {
    if (name === '__proto__' || !isPlainProperty(object, name, seen, depth)) return false;
  }
  return true;
}

/** Not one that was met before: V8 keeps identity, and cycles. */
function isPlainObject(object, seen, depth) {
  if (depth > MAX_DEPTH || seen.length === MAX_OBJECTS || isProxy(object)) return false;
  if (seen.includes(object)) return false;
  seen.push(object);
  if (Array.isArray(object)) return isPlainArray(object, seen, depth);
  if (getPrototypeOf(object) !== Object.prototype) return false;
  // Also 'arguments' and errors can have that prototype; V8 refuses them, or knows better.
  if (classOf(object) !== '[object Object]') return false;
  return arePlain(object, keys(object), seen, depth);
}

/** Whether JSON.parse(JSON.stringify(value)) equals what V8's serializer makes of it, to the last detail. */
function isPlainData(value) {
  return isPlainValue(value, [], 0) && !isToJSONDefined();
}

module.exports = { isPlainData, isPlainNumber };
