'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { isPlainNode } = require('../../lib/host');
const { chooseWire } = require('../../lib/wire-choice');

const SYSTEM = { isPrivileged: () => false, startedAs: () => process.execPath };

/** What is chosen: { wire, reason }. */
function choiceFor({ asked, ...options } = {}, slot = 3, system = SYSTEM) {
  const args = [process.execPath, ...(options.args ?? []), 'script.js'];
  const given = { file: process.execPath, envPairs: [], ...options, args };
  return chooseWire(given, slot, asked, system);
}

/** The wire. What isPlainNode() says of the same is no other answer: it may only be in doubt. */
function choose({ asked, ...options } = {}, slot = 3, system = SYSTEM) {
  const { wire } = choiceFor({ asked, ...options }, slot, system);
  const args = [process.execPath, ...(options.args ?? []), '/script.js'];
  const given = { file: process.execPath, envPairs: [], ...options, args };
  const isOwnProgram = (file) => file === process.execPath;
  const isPlain = !asked && system === SYSTEM;
  if (isPlain && isPlainNode(given, slot, { ...system, isOwnProgram }))
    assert.equal(wire, 'native');
  return wire;
}

describe('chooseWire()', () => {
  it("gives 'native' for this Node with a channel at 3 or higher", () => {
    assert.equal(choose(), 'native');
    assert.equal(choose({}, 10), 'native');
  });

  it("gives 'node' for a channel at 0 to 2, a uid or a gid", () => {
    for (const slot of [0, 1, 2]) assert.equal(choose({}, slot), 'node');
    for (const name of ['uid', 'gid']) {
      assert.equal(choose({ [name]: 0 }), 'node');
      assert.equal(choose({ [name]: undefined }), 'native');
      assert.equal(choose({ [name]: null }), 'native');
    }
  });

  const forbidden = [
    '--watch',
    '--watch-path=.',
    '--watch-preserve-output',
    '--permission',
    '--experimental-permission',
    '--no-addons',
    '--env-file=.env',
    '--env-file-if-exists=.env',
    '--run=test',
    '--build-snapshot',
    '--build-snapshot-config=x',
    '--build-sea=x',
    '--experimental-sea-config=x',
    '--no_addons',
    '--env_file=.env',
    '--env_file-if_exists=.env',
    '--experimental_permission',
    '--experimental-policy=x',
    '--policy-integrity=x',
    '--config-file=x',
    '--experimental-config-file=x',
    '--experimental_config_file=x',
    '--experimental-default-config-file',
    '--version',
    '--v8-options',
    '--completion-bash',
    '-v',
  ];
  for (const option of forbidden) {
    it(`gives 'node' for ${option}, as an argument and in NODE_OPTIONS`, () => {
      assert.equal(choose({ args: [option] }), 'node');
      assert.equal(choose({ args: ['--no-warnings', option] }), 'node');
      assert.equal(choose({ args: ['-r', 'x', option] }), 'node');
      assert.equal(choose({ args: ['--require=x', option] }), 'node');
      assert.equal(choose({ args: ['--disable-warning', 'DEP0001', option] }), 'node');
      for (const value of [option, `--no-warnings  ${option}`, `-r "a b"\t${option} -r c`]) {
        assert.equal(choose({ envPairs: [`NODE_OPTIONS=${value}`] }), 'node');
      }
    });

    it(`does not mind ${option} behind the script`, () => {
      assert.equal(choose({ args: ['other.js', option] }), 'native');
      assert.equal(choose({ args: ['--no-warnings', '--', 'other.js', option] }), 'native');
    });
  }

  it('reads NODE_OPTIONS as Node does: quotes, escapes, blanks', () => {
    const inNodeOptions = (value) => choose({ envPairs: [`NODE_OPTIONS=${value}`] });
    for (const value of ['"--no-addons"', '"--no\\-addons"', '--no-"addons"', '  --no-addons ']) {
      assert.equal(inNodeOptions(value), 'node', value);
    }
    for (const value of ['', '--title="a --no-addons b"', '"--title=--watch"']) {
      assert.equal(inNodeOptions(value), 'native', value);
    }
  });

  it("says why it gives 'node'", () => {
    const reasons = [
      [choiceFor({}, 1), "'ipc' is at stdio 1"],
      [choiceFor({ uid: 0 }), 'the child has another uid or gid'],
      [choiceFor({ args: ['--env_file=x'] }), 'with --env-file=x the child may not load forkwire'],
      [choiceFor({ file: '/bin/sh' }), '/bin/sh is not this Node'],
      [choiceFor({ asked: 'node' }), 'options.channel asks for it'],
      [
        choiceFor({}, 3, { ...SYSTEM, changedFile: '/nowhere' }),
        '/nowhere was replaced or removed, or cannot be read',
      ],
    ];
    for (const [choice, reason] of reasons) assert.deepEqual(choice, { wire: 'node', reason });
    assert.deepEqual(choiceFor(), { wire: 'native' });
  });

  it('never throws, and says what was wrong', () => {
    const bad = [
      { envPairs: [{}] },
      { args: [Object.create(null)] },
      { cwd: { toString: null } },
      { file: 'node', envPairs: [1] },
    ];
    for (const options of bad) {
      const { wire, reason } = choiceFor(options);
      assert.equal(wire, 'node');
      assert.match(reason, /^what the child will run cannot be known: ./);
    }
  });

  it("gives 'node' for node inspect", () => {
    assert.equal(choose({ args: ['inspect'] }), 'node');
    assert.equal(choose({ args: ['other.js', 'inspect'] }), 'native');
  });

  it('reads arguments that are no strings', () => {
    assert.equal(choose({ args: [Buffer.from('--watch')] }), 'node');
    assert.equal(choose({ args: [1, '--watch'] }), 'native');
  });

  it('looks for the program in the PATH of the child, from its working directory', () => {
    const [folder, name] = [path.dirname(process.execPath), path.basename(process.execPath)];
    const inPath = (PATH, more) => choose({ file: name, envPairs: [`PATH=${PATH}`], ...more });
    assert.equal(inPath(folder), 'native');
    assert.equal(inPath(`/nowhere:${folder}`), 'native');
    assert.equal(inPath('/nowhere'), 'node');
    assert.equal(inPath('.', { cwd: folder }), 'native');
    assert.equal(choose({ file: `./${name}`, cwd: folder }), 'native');
    assert.equal(choose({ file: name }), 'node');
  });

  it("gives 'node' for other programs, and for what is none", () => {
    for (const file of ['/bin/sh', '/nowhere', '/', __filename])
      assert.equal(choose({ file }), 'node');
  });

  it("gives 'node' for a program whose NODE_OPTIONS the kernel makes it ignore", () => {
    const asked = [];
    const isPrivileged = (file) => asked.push(file) > 0;
    assert.equal(choose({}, 3, { ...SYSTEM, isPrivileged }), 'node');
    assert.deepEqual(asked, [process.execPath]);
  });

  it('does what `channel` says, whatever else there is', () => {
    assert.equal(choose({ asked: 'node' }), 'node');
    assert.equal(choose({ asked: 'native', file: '/bin/sh', uid: 0 }, 0), 'native');
  });
});

describe('isPlainNode()', () => {
  const plain = { file: process.execPath, args: [process.execPath, '/a.js'], envPairs: ['A=1'] };
  const system = { ...SYSTEM, isOwnProgram: () => true };

  it('is certain of this Node with a script', () => {
    assert.equal(isPlainNode(plain, 3, system), true);
  });

  for (const [what, options, slot, more] of [
    ['an option', { args: [process.execPath, '--watch', '/a.js'] }],
    ["no script, but 'inspect'", { args: [process.execPath, 'inspect', '/a.js'] }],
    ['NODE_OPTIONS', { envPairs: ['NODE_OPTIONS='] }],
    ['a variable that is no string', { envPairs: [Symbol('a')] }],
    ['no arguments', { args: undefined }],
    ['an argument that is no string', { args: [process.execPath, Buffer.from('--watch')] }],
    ['a user', { uid: 0 }],
    ['a group', { gid: 0 }],
    ['a low slot', {}, 2],
    ['a file that changed', {}, 3, { changedFile: '/x' }],
    ['another program', {}, 3, { isOwnProgram: () => false }],
    ['a program with rights of its own', {}, 3, { isPrivileged: () => true }],
    ['a program that PATH finds', { file: 'node' }],
  ]) {
    it(`is not certain with ${what}`, () => {
      const given = { ...plain, ...options };
      assert.equal(isPlainNode(given, slot ?? 3, { ...system, ...more }), false);
    });
  }
});
