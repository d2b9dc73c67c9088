'use strict';

// Which values JSON brings across exactly as V8's serializer would: then 'advanced' sends them as JSON, which is several
// times cheaper. Nothing of the user's runs here: properties are looked at, not read.

const { types } = require('node:util');

const { isProxy } = types;

// Beyond these V8's serializer is as good.
const MAX_DEPTH = 8;
const MAX_OBJECTS = 32;
const MAX_ELEMENTS = 64;
const MAX_STRING = 1024;

const { getOwnPropertyDescriptor, getPrototypeOf, keys } = Object;

/** Kinds of objects that V8 knows by what is in them. Any prototype can be set on them, also that of plain objects. */
const KINDS = [
  ArrayBuffer.isView,
  types.isMap,
  types.isSet,
  types.isDate,
  types.isNativeError,
  types.isBoxedPrimitive,
  types.isArgumentsObject,
  types.isRegExp,
  types.isAnyArrayBuffer,
  types.isPromise,
  types.isWeakMap,
  types.isWeakSet,
  types.isMapIterator,
  types.isSetIterator,
  types.isGeneratorObject,
  types.isExternal,
];

function isOfKind(object) {
  for (const isKind of KINDS) if (isKind(object)) return true;
  return false;
}

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
  if (names.length !== array.length) return false;
  // Its elements come first: where the last name is that of the last element, none is missing and nothing else is there.
  if (names.length > 0 && names.at(-1) !== `${names.length - 1}`) return false;
  return arePlain(array, names, seen, depth);
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
  const names = keys(object);
  // One without properties may be of a kind that is not among those, and V8 refuses most of them.
  if (names.length === 0 || isOfKind(object)) return false;
  return arePlain(object, names, seen, depth);
}

/** Whether JSON.parse(JSON.stringify(value)) equals what V8's serializer makes of it, to the last detail. */
function isPlainData(value) {
  return isPlainValue(value, [], 0) && !isToJSONDefined();
}

module.exports = { isPlainData, isPlainNumber };
