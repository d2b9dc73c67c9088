'use strict';

// What only 'advanced' needs: V8's structured clone with Node's host objects. A file of its own, since a 'json' channel does
// without all of it.

const v8 = require('node:v8');
const { Buffer } = require('./primordials');
const { isArrayBufferView, isUint8Array } = require('node:util').types;
const { isPlainData, isPlainNumber } = require('./plain-data');
const { ViewsIn, ViewsOut, goesBeside } = require('./views');

// Tags of a host object, the first two as in Node's own codec: a view keeps its class, anything else becomes a plain object.
// A large view is beside the value.
const VIEW = 0;
const OTHER = 1;
const VIEW_BESIDE = 2;

class Serializer extends v8.DefaultSerializer {
  views = null; // where large ones go beside the value

  _writeHostObject(object) {
    if (isArrayBufferView(object)) {
      this.#writeView(object);
      return;
    }
    this.writeUint32(OTHER);
    this.writeValue({ ...object });
  }

  #writeView(view) {
    if (this.views !== null && goesBeside(view)) {
      this.writeUint32(VIEW_BESIDE);
      this.views.add(this, view);
    } else {
      this.writeUint32(VIEW);
      super._writeHostObject(view);
    }
  }
}

class Deserializer extends v8.DefaultDeserializer {
  views = null;

  _readHostObject() {
    const tag = this.readUint32();
    if (tag === VIEW_BESIDE && this.views !== null) return this.views.next(this);
    return tag === VIEW ? super._readHostObject() : this.readValue();
  }
}

function serialize(message, views = null) {
  const serializer = new Serializer();
  serializer.views = views;
  serializer.writeHeader();
  serializer.writeValue(message);
  return serializer.releaseBuffer();
}

/** The payload, or its parts where large views go beside the value. */
function serializeWithViews(message) {
  const views = new ViewsOut();
  const value = serialize(message, views);
  return views.isEmpty ? value : views.body(value);
}

function deserialize(bytes, views = null) {
  const deserializer = new Deserializer(bytes);
  deserializer.views = views;
  deserializer.readHeader();
  return deserializer.readValue();
}

function deserializeWithViews(body) {
  const views = new ViewsIn(body);
  return deserialize(views.value, views);
}

/** Nothing that only has that prototype, and no Proxy of one, whose traps it would call. */
const isBuffer = (value) => isUint8Array(value) && Buffer.isBuffer(value);

module.exports = {
  deserialize,
  deserializeWithViews,
  isBuffer,
  isPlainData,
  isPlainNumber,
  serialize,
  serializeWithViews,
};
