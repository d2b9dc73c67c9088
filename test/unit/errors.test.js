'use strict';

const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const util = require('node:util');
const errors = require('../../lib/errors');

function thrownBy(action) {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' });
}

/** All that a user sees of an error, but for the place. */
function look(error) {
  const { name, message, code } = error;
  const [head] = error.stack.split('\n    at ');
  return { name, message, code, head, text: String(error), keys: Object.keys(error) };
}

const VALUES = [
  ...[25, 26, 27, 28, 29].map((size) => BigInt('1'.repeat(size))),
  undefined,
  null,
  true,
  0,
  -0,
  NaN,
  1n,
  '',
  'text',
  'a rather long text that is cut off somewhere',
  Symbol('x'),
  function named() {},
  () => {},
  class Some {},
  {},
  [],
  new Map(),
  new Date(0),
  Object.create(null),
  new (class Own {})(),
];

describe('errors with codes of Node', () => {
  it('look exactly as those that Node throws for a wrong type', () => {
    for (const value of VALUES.filter((candidate) => typeof candidate !== 'string')) {
      const own = errors.invalidArgType('path', 'of type string', value);
      assert.deepEqual(look(own), look(thrownBy(() => path.basename(value))));
      assert.ok(own instanceof TypeError);
    }
  });

  it('show strings exactly as those that Node throws', () => {
    const odd = ["a'b", 'a"b', 'a\'"b', 'a\nb', '\\', '`', 'ü'.repeat(40)];
    for (const text of [...odd, ...[24, 25, 26, 27, 28, 29, 30].map((size) => 'x'.repeat(size))]) {
      const own = errors.invalidArgType('size', 'of type number', text);
      assert.deepEqual(look(own), look(thrownBy(() => Buffer.alloc(text))));
    }
  });

  it('look exactly as those that Node throws for a wrong value', () => {
    for (const value of ['xml', 5, {}, Symbol('x')]) {
      const own = errors.invalidArgValue(
        'options.serialization',
        "must be one of: undefined, 'json', 'advanced'",
        value,
      );
      const theirs = thrownBy(() => childProcess.spawn('true', { serialization: value }));
      assert.deepEqual(look(own), look(theirs));
    }
  });

  it('look exactly as those of a system call', () => {
    const own = errors.errnoError(-3, 'kill');
    const theirs = thrownBy(() => process.kill(2 ** 22 + 1));
    assert.deepEqual(look(own), look(theirs));
    assert.equal(own.errno, theirs.errno);
    assert.equal(own.syscall, theirs.syscall);
  });

  it('are those of the channel', () => {
    const closed = errors.nodeError('ERR_IPC_CHANNEL_CLOSED');
    assert.equal(closed.message, 'Channel closed');
    assert.equal(String(closed), 'Error [ERR_IPC_CHANNEL_CLOSED]: Channel closed');
    assert.ok(errors.nodeError('ERR_INVALID_HANDLE_TYPE') instanceof TypeError);
    assert.equal(errors.missingArg('message').message, 'The "message" argument must be specified');
  });

  it('are shown with their code once', () => {
    const shown = util.inspect(errors.nodeError('ERR_IPC_DISCONNECTED'));
    assert.match(
      shown,
      /^Error \[ERR_IPC_DISCONNECTED\]: IPC channel is already disconnected\n {4}at /,
    );
    assert.equal(shown.match(/\[ERR_IPC_DISCONNECTED\]/g).length, 1);
  });
});

describe('validateObject()', () => {
  it('takes any object but arrays', () => {
    for (const value of [{}, Object.create(null), new Map()])
      errors.validateObject(value, 'options');
    for (const value of [null, undefined, [], 'x', 1, () => {}]) {
      assert.throws(() => errors.validateObject(value, 'options'), {
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });
});

describe('errors of forkwire', () => {
  for (const code of Object.keys(errors.MESSAGES)) {
    it(`${code} is an Error with a message, details and a cause`, () => {
      const cause = new Error('the cause');
      const error = errors.forkwireError(code, 'a detail', { pid: 7, cause });
      assert.ok(error instanceof Error);
      assert.equal(error.code, code);
      assert.equal(error.pid, 7);
      assert.equal(error.cause, cause);
      assert.match(error.message, /^[A-Za-z]/);
      assert.ok(error.stack.startsWith(`Error [${code}]: ${error.message}`));
    });
  }

  it('have a row each in docs/api.md, with when, what it means and what to do', () => {
    const api = fs.readFileSync(path.join(__dirname, '../../docs/api.md'), 'utf8');
    const rows = [...api.matchAll(/^\| (ERR_FORKWIRE_\w+) \|(.*)\|$/gm)];
    assert.deepEqual(
      rows.map(([, code]) => code).toSorted(),
      Object.keys(errors.MESSAGES).toSorted(),
    );
    for (const [, code, cells] of rows) {
      const texts = cells.split('|').map((text) => text.trim());
      assert.equal(texts.filter((text) => text.length > 3).length, 3, code);
    }
  });

  it('have no cause when there is none', () => {
    assert.equal('cause' in errors.forkwireError('ERR_FORKWIRE_VERSION'), false);
  });
});
