'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');

// Who may use whom. A file that is not in a table may not exist in that folder.

const ALONE = [
  ...['buffer', 'frame', 'frame_kinds', 'node_frame', 'ancillary', 'fd_kind', 'closer', 'ledger'],
  ...['body', 'keys', 'segment', 'segment_map', 'segment_pool', 'slot', 'standby'],
];
const SHARED = [...ALONE, 'forkwire'];

const NODE = [...SHARED, 'node_reader', 'node_writer'];
const CHANNEL = [...NODE, 'read_queue', 'write_queue', 'channel_state', 'hub', 'node_wire', 'wire'];

/** src/core/<name>.c and .h: the headers of this project that they may include, the functions of libuv they may call. */
const CORE = {
  ...Object.fromEntries(ALONE.map((name) => [name, { headers: SHARED, uv: [] }])),
  closer: { headers: SHARED, uv: [], isShared: true }, // its threads are the process's
  read_queue: { headers: [...SHARED, 'read_queue'], uv: [] },
  write_queue: { headers: [...SHARED, 'write_queue'], uv: [] },
  node_reader: { headers: [...SHARED, 'node_reader'], uv: [] },
  node_writer: { headers: [...SHARED, 'node_writer'], uv: [] },
  channel_state: { headers: CHANNEL, uv: [] },
  node_wire: { headers: CHANNEL, uv: [] },
  wire: { headers: CHANNEL, uv: [] },
  control: { headers: CHANNEL, uv: [] },
  trace: { headers: CHANNEL, uv: [] },
  spin: { headers: CHANNEL, uv: ['uv_hrtime'] },
  flush: { headers: CHANNEL, uv: ['uv_hrtime'] },
  descendant: { headers: CHANNEL, uv: [] },
  ends: { headers: CHANNEL, uv: [] },
  reading: { headers: CHANNEL, uv: ['uv_hrtime'] },
  gather: { headers: CHANNEL, uv: ['uv_hrtime', 'uv_backend_timeout'] },
  missing: { headers: CHANNEL, uv: [] },
  nesting: { headers: CHANNEL, uv: [] },
  counts: { headers: CHANNEL, uv: [] },
  hub: { headers: CHANNEL, uv: ['uv_ref', 'uv_unref', 'uv_loop_alive'] },
  channel: { headers: CHANNEL, uv: 'all' },
};

/** lib/<name>.js: the only ones that may use what is named. */
const ONLY_IN = [
  { file: 'binding.js', what: 'the addon is loaded', pattern: /\.node['"`]|process\.dlopen/ },
  {
    file: 'attach.js',
    what: "'./binding' is required",
    pattern: /(require|load)\(['"]\.\/binding(\.js)?['"]\)/,
  },
  {
    file: 'node-internals.js',
    what: 'a part of Node without documentation is used',
    pattern: new RegExp(
      [
        String.raw`process\.(binding|_linkedBinding)\b`,
        String.raw`internalBinding\b`,
        String.raw`\b_http_common\b`,
        String.raw`(?<![\w$#])_(${[
          'handle',
          'setupWorker',
          'connectionKey',
          'closesNeeded',
          'closesGot',
          'usingWorkers',
          'workers',
          'connections',
          'emitCloseIfDrained',
          'listen2',
          'tickCallback',
          'readableState',
          'writableState',
          'getActiveHandles',
        ].join('|')})\b`,
      ].join('|'),
    ),
  },
];

const withoutComments = (text) =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[\s;{}(),])\/\/.*$/gm, '$1');

function includesOf(text) {
  const lines = withoutComments(text).matchAll(/^\s*#\s*include\s*(["<])([^">]+)[">]/gm);
  return [...lines].map(([, quote, name]) => ({ system: quote === '<', name }));
}

const ADDON_HEADER = /^(napi|node(_api|_buffer|_object_wrap|_version)?\.h$|v8|js_native)/;

/** What is wrong with a file of src/core, as sentences. */
function coreFaults(name, text) {
  const rule = CORE[name];
  if (!rule) return ['is not in the table of this test'];
  const faults = [];
  for (const include of includesOf(text)) {
    const header = path.basename(include.name, '.h');
    const isUv = include.name === 'uv.h';
    if (ADDON_HEADER.test(include.name)) faults.push(`includes ${include.name}`);
    else if (!include.system && !isUv && !rule.headers.includes(header)) {
      faults.push(`includes ${include.name}`);
    }
  }
  const calls = withoutComments(text).match(/\buv_\w+(?=\s*\()/g) ?? [];
  const refused = calls.filter((call) => rule.uv !== 'all' && !rule.uv.includes(call));
  faults.push(...refused.map((call) => `calls ${call}`));
  return rule.isShared ? faults : [...faults, ...staticStateFaults(text)];
}

const FILE_VARIABLE =
  /^(?!(?:typedef|return|goto|else|using)\b)[a-z_][\w:<>* ]*[ *]\w+(\[[^\]]*\])*\s*(=[^=].*|;)$/gm;
const LOCAL_STATIC = /^\s+static\b.*$/gm;
const HARMLESS = /\bconst(expr)?\b|^\s*(struct|union|enum|class)\s+\w+;$/;

/** State that would be shared by all environments of a process. */
function staticStateFaults(text) {
  const code = withoutComments(text);
  const found = [...(code.match(FILE_VARIABLE) ?? []), ...(code.match(LOCAL_STATIC) ?? [])];
  const outside = found.filter((line) => !HARMLESS.test(line) && !/^[^=]*\(/.test(line));
  return outside.map((line) => `keeps state in "${line.trim()}"`);
}

function bindingFaults(text) {
  const own = (name) => !name.includes('/') || /^(\.\/|binding\/)/.test(name);
  const faults = includesOf(text)
    .filter(({ system, name }) => !system && path.basename(name) !== 'forkwire.h' && !own(name))
    .map(({ name }) => `includes ${name}`);
  const core = Object.keys(CORE).filter((name) => name !== 'channel');
  const hidden = includesOf(text).filter(
    ({ name }) => name.includes('core/') || core.includes(path.basename(name, '.h')),
  );
  return [
    ...new Set([...faults, ...hidden.map(({ name }) => `includes ${name}`)]),
    ...staticStateFaults(text),
  ];
}

function libFaults(file, text) {
  const code = withoutComments(text);
  return ONLY_IN.filter((rule) => rule.file !== file && rule.pattern.test(code)).map(
    (rule) => `${rule.what} ("${code.match(rule.pattern)[0]}"): only lib/${rule.file} may`,
  );
}

function filesIn(folder, extensions) {
  const names = fs.readdirSync(path.join(ROOT, folder), { recursive: true });
  return names.filter((name) => extensions.includes(path.extname(name)));
}

/** Asserts that no file of the folder has a fault, and that there are files at all. */
function assertFolder(folder, extensions, faultsOf) {
  const files = filesIn(folder, extensions);
  assert.notEqual(files.length, 0, `${folder} holds no files`);
  const faults = files.flatMap((file) => {
    const text = fs.readFileSync(path.join(ROOT, folder, file), 'utf8');
    return faultsOf(file, text).map((fault) => `${folder}/${file} ${fault}`);
  });
  assert.deepEqual(faults, []);
}

describe('the layers', () => {
  it('hold in src/core', () => {
    assertFolder('src/core', ['.c', '.h'], (file, text) => coreFaults(path.parse(file).name, text));
  });

  it('hold in src/binding', () => {
    assertFolder('src/binding', ['.cc', '.h'], (_file, text) => bindingFaults(text));
  });

  it('hold in lib', () => {
    assertFolder('lib', ['.js', '.mjs'], libFaults);
  });

  it('leave uv.h as the only header that forkwire.h needs', () => {
    const text = fs.readFileSync(path.join(ROOT, 'src/forkwire.h'), 'utf8');
    const STANDARD = /^(uv|std(bool|def|int|io)|sys\/(types|socket))\.h$/;
    assert.deepEqual(
      includesOf(text).filter(({ name }) => !STANDARD.test(name)),
      [],
    );
  });
});

describe('the rules of the layers', () => {
  it('refuse an include of a higher file, of the addon, and a call to libuv in the core', () => {
    assert.deepEqual(coreFaults('frame', '#include "channel.h"\n'), ['includes channel.h']);
    assert.deepEqual(coreFaults('frame', '#include <node_api.h>\n'), ['includes node_api.h']);
    assert.deepEqual(coreFaults('write_queue', '  uv_close (h, cb);\n'), ['calls uv_close']);
    assert.deepEqual(coreFaults('other', ''), ['is not in the table of this test']);
    const fine =
      '#include <errno.h>\n#include <uv.h>\n#include "core/buffer.h"\nreturn UV_EINVAL; // uv_x()\n';
    assert.deepEqual(coreFaults('frame', fine), []);
    assert.deepEqual(coreFaults('channel', 'uv_poll_start(p, 1, cb);\n'), []);
  });

  it('refuse state of the process in the core and in the binding', () => {
    const bad = [
      'static int counter = 0;',
      'static fw_buffer_t cache;',
      'int fw_count;',
      'static char names[4][8];',
      '  static bool once = false;',
    ];
    for (const line of bad) assert.equal(staticStateFaults(`${line}\n`).length, 1, line);
    const fine = [
      'static const char* const names[] = {',
      'static int parse(fw_frame_t* frame, size_t size);',
      'static inline int min(int a, int b) {',
      'typedef struct fw_frame fw_frame_t;',
      'struct fw_frame;',
      '} fw_frame_t;',
      '  int count = 0;',
      '  return value;',
      'static_assert(sizeof(int) == 4, "int");',
    ];
    for (const line of fine) assert.deepEqual(staticStateFaults(`${line}\n`), [], line);
  });

  it("refuse the core's inner headers in the binding", () => {
    assert.deepEqual(bindingFaults('#include "../core/frame.h"\n'), ['includes ../core/frame.h']);
    assert.deepEqual(bindingFaults('#include "frame.h"\n'), ['includes frame.h']);
    assert.deepEqual(bindingFaults('#include "../forkwire.h"\n#include "channel.h"\n'), []);
    assert.deepEqual(bindingFaults('#include <napi.h>\n#include <memory>\n'), []);
  });

  it("keep the addon and Node's inner parts to one file each in lib", () => {
    assert.equal(libFaults('fork.js', "require('./binding')").length, 1);
    assert.equal(libFaults('fork.js', "require('./binding.js')").length, 1);
    assert.deepEqual(libFaults('attach.js', "require('./binding')"), []);
    assert.equal(libFaults('attach.js', "require('../build/Release/forkwire.node')").length, 1);
    assert.equal(libFaults('handles.js', 'socket._handle = null;').length, 1);
    assert.equal(libFaults('handles.js', "process.binding('tcp_wrap')").length, 1);
    assert.deepEqual(libFaults('node-internals.js', 'socket._handle = null;'), []);
    assert.deepEqual(libFaults('handles.js', '// _handle\nthis.#_handle = got_handle;'), []);
  });
});
