'use strict';

// Messages that are so large that they travel in shared memory, and what happens where that cannot be had.

const assert = require('node:assert/strict');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const { forkFunction } = require('../helpers/fork-fixture');
const { isLong, some } = require('../helpers/scale');
const { itIsBetter, itWith, spawn } = require('../helpers/subject');
const { nextMessage } = require('../helpers/events');
const { functionArgs, run, runFunction } = require('../helpers/run');
const { killUnnoticed } = require('../helpers/stopped');
const { until } = require('../helpers/until');

const SIZE = 300_000;
const advanced = { serialization: 'advanced' };

const md5 = (bytes) => createHash('md5').update(bytes).digest('hex');

/** Kinds of mappings of that process: how many of them are our segments. */
function segmentsOf(pid) {
  const maps = fs.readFileSync(`/proc/${pid}/maps`, 'utf8');
  return maps.split('\n').filter((line) => line.includes('/memfd:forkwire')).length;
}

/** A child that answers every message with its class and the MD5 of its bytes, and keeps it if told so. */
function forkDigester(options = advanced) {
  return forkFunction(options, () => {
    const { createHash } = require('node:crypto');
    const kept = [];
    process.on('message', (message) => {
      if (message === 'collect') {
        kept.length = 0;
        require('node:v8').setFlagsFromString('--expose-gc');
        const gc = require('node:vm').runInNewContext('gc');
        gc();
        setTimeout(() => {
          gc(); // V8 frees what the first one found
          setTimeout(() => process.send('collected'), 50);
        }, 50);
        return;
      }
      const body = message?.body ?? message;
      if (message?.keep) kept.push(message);
      const bytes =
        typeof body === 'string'
          ? Buffer.from(body, 'utf16le')
          : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      const digest = createHash('md5').update(bytes).digest('hex');
      process.send({ name: body.constructor.name, digest });
    });
  });
}

async function digestOf(child, message) {
  child.send(message);
  return nextMessage(child);
}

function bytesOf(body) {
  if (typeof body === 'string') return Buffer.from(body, 'utf16le');
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

const arrayOf = (Class) => new Class(randomBytes(SIZE - (SIZE % 8)).buffer);

const BODIES = {
  'a Buffer': () => randomBytes(SIZE),
  'a Buffer in an object': () => ({ body: randomBytes(SIZE), other: [1, { two: null }] }),
  'a Float64Array': () => arrayOf(Float64Array),
  'a BigInt64Array in an object': () => ({ body: arrayOf(BigInt64Array) }),
  'a DataView': () => ({ body: new DataView(randomBytes(SIZE).buffer, 3) }),
  'a view that is not at the start of its buffer': () => ({
    body: new Uint16Array(randomBytes(SIZE).buffer, 2, 99_999),
  }),
  'an ASCII string': () => randomBytes(SIZE * 2).toString('hex'), // as long as to be no string of V8's heap
  'a Latin-1 string': () => randomBytes(SIZE).toString('latin1'),
  'a string with wide characters': () => `${'ж'.repeat(SIZE)}\ud800`,
  'one-byte text in an object': () => ({ body: randomBytes(SIZE).toString('base64') }),
  'wide text in an object': () => ({ body: 'ж☃𝄞'.repeat(SIZE / 4) }),
};

async function checkEach(child) {
  for (const [what, make] of Object.entries(BODIES)) {
    for (let i = 0; i < (isLong ? 2 : 1); i++) {
      const message = make();
      const body = message.body ?? message;
      const { name, digest } = await digestOf(child, message);
      assert.equal(digest, md5(bytesOf(body)), what);
      assert.equal(name, body.constructor.name, what);
    }
  }
  child.disconnect();
  await once(child, 'exit');
}

describe('large messages', () => {
  it('arrive as they were sent', async () => {
    await checkEach(forkDigester());
  });

  itWith('segments')(
    'travel in shared memory, mapped once on each side and without descriptors',
    async () => {
      const child = forkDigester();
      for (let i = 0; i < 8; i++) {
        await digestOf(child, randomBytes(SIZE).toString('hex'));
      }
      // Eight messages, and hardly more segments than are in use at a time.
      for (const { pid } of [child, process]) {
        const count = segmentsOf(pid);
        assert.ok(count > 0 && count < 4, `${count}`);
      }
      const targets = fs.readdirSync(`/proc/${child.pid}/fd`).map((fd) => {
        try {
          return fs.readlinkSync(`/proc/${child.pid}/fd/${fd}`);
        } catch {
          return '';
        }
      });
      assert.deepEqual(
        targets.filter((target) => target.includes('memfd')),
        [],
      );
      child.disconnect();
      await once(child, 'exit');
      await until(() => segmentsOf(process.pid) === 0);
    },
  );

  itWith(['segments', 'external', 'views'])(
    'do not change while they are kept, and are given back when they are collected',
    async () => {
      const child = forkDigester();
      const first = randomBytes(SIZE);
      await digestOf(child, { body: first, keep: true });
      const kept = { body: randomBytes(SIZE), keep: true };
      await digestOf(child, kept);
      for (let i = 0; i < 10; i++) {
        const body = randomBytes(SIZE);
        assert.equal((await digestOf(child, { body, keep: true })).digest, md5(body));
      }
      const many = segmentsOf(child.pid);
      assert.ok(many > 5, `${many}`);
      child.send('collect');
      await nextMessage(child);
      for (let i = 0; i < 10; i++) await digestOf(child, { body: randomBytes(SIZE) });
      assert.ok(segmentsOf(child.pid) < many + 5); // those from before were used again
      child.disconnect();
      await once(child, 'exit');
    },
  );

  itIsBetter('stay out of shared memory where the peer is not trusted', async () => {
    const child = forkDigester({ untrusted: true });
    for (let i = 0; i < 3; i++) {
      const text = randomBytes(SIZE).toString('hex');
      assert.equal((await digestOf(child, text)).digest, md5(bytesOf(text)));
    }
    assert.equal(segmentsOf(child.pid), 0);
    assert.equal(segmentsOf(process.pid), 0);
    child.disconnect();
    await once(child, 'exit');
  });

  it('may be written to by the listener that got them', async () => {
    const child = forkFunction(advanced, () => {
      process.on('message', ({ body, byte }) => {
        const isUntouched = body.every((value) => value === byte);
        body.fill(255);
        process.send({ isUntouched, body });
      });
    });
    for (let byte = 0; byte < 6; byte++) {
      const sent = Buffer.alloc(SIZE, byte);
      child.send({ body: sent, byte });
      const { isUntouched, body } = await nextMessage(child);
      assert.ok(isUntouched);
      assert.ok(body.every((value) => value === 255));
      assert.ok(sent.every((value) => value === byte));
    }
    child.disconnect();
    await once(child, 'exit');
  });

  itWith('segments', it)(
    'count in what send() returns, and in callbacks: they come when the peer has seen the message',
    async () => {
      const child = forkDigester();
      await digestOf(child, randomBytes(SIZE));
      await digestOf(child, randomBytes(SIZE));
      let isCalled = false;
      const answered = nextMessage(child);
      assert.equal(
        child.send(randomBytes(SIZE), (error) => {
          assert.equal(error, null);
          isCalled = true;
        }),
        false,
      );
      await answered;
      await until(() => isCalled);
      child.disconnect();
      await once(child, 'exit');
    },
  );

  it('keep their order with small ones', async () => {
    const child = forkFunction(advanced, () => {
      const seen = [];
      process.on('message', (message) => {
        seen.push(typeof message === 'number' ? message : message[0] * 256 + message[1]);
        if (seen.length === 60) process.send(seen);
      });
    });
    for (let i = 0; i < 60; i++) {
      const large = Buffer.alloc(SIZE);
      large.writeUInt16BE(i);
      child.send(i % 3 === 0 ? i : large);
    }
    const seen = await nextMessage(child);
    assert.deepEqual(
      seen,
      seen.map((_, i) => i),
    );
    child.disconnect();
    await once(child, 'exit');
  });

  const names = ['segments', 'external', 'views', 'sndbuf', 'segments,external,views,sndbuf'];
  for (const name of some(names, 0, -1)) {
    it(`arrive without ${name} as well`, async () => {
      const env = { ...process.env, FORKWIRE_DISABLE: name };
      await checkEach(forkDigester({ ...advanced, env }));
    });
  }
});

describe('large messages where memory or descriptors are short', () => {
  const body = () => {
    const { randomBytes, createHash } = require('node:crypto');
    const md5 = (bytes) => createHash('md5').update(bytes).digest('hex');
    const sent = [];
    const send = () => {
      const bytes = randomBytes(700_000);
      sent.push(md5(bytes));
      process.send(bytes);
    };
    process.on('message', (digest) => {
      if (digest !== sent.shift()) process.exit(1);
      if (--left === 0) process.disconnect();
      else send();
    });
    let left = 6;
    send();
  };

  /** A child that sends, under a limit of the shell. Its exit code. */
  async function runLimited(limit, channel) {
    const shell = ['-c', `${limit}; exec "$0" "$@"`, process.execPath];
    const child = spawn('sh', [...shell, ...functionArgs(body)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      channel,
    });
    child.on('message', (bytes) => child.send(md5(bytes)));
    const [code] = await once(child, 'exit');
    return code;
  }

  it('arrive from a sender that may open no descriptor more', async () => {
    assert.equal(await runLimited('ulimit -n 22', 'native'), 0);
  });

  it("arrive on stock's wire", async () => {
    assert.equal(await runLimited('true', 'node'), 0);
  });
});

describe('memory that the peer can still write to', () => {
  itWith('segments')('is not parsed together with other messages', async () => {
    const { code, stderr } = await runFunction(() => {
      const parsed = [];
      const { parse } = JSON;
      JSON.parse = (text) => {
        if (text.includes('mark')) parsed.push(text);
        return parse(text);
      };
      const { forkRawPeer } = require('./protocol-peer');
      const { child, peer } = forkRawPeer({ args: ['--quiet'] });
      child.on('message', async (message) => {
        if (message.mark !== 2) return;
        require('node:assert').deepEqual(parsed, ['{"mark": 1}', '{"mark": 2}']);
        child.disconnect();
        await peer.leave();
      });
      const offer = async () => {
        peer.tell('hello', { features: 1 });
        for (const id of [1, 2]) await peer.ask('segment', 'MAPPED', { id, size: 4096 });
        peer.tell('in_segments', { values: { 1: { mark: 1 }, 2: { mark: 2 } } });
      };
      offer();
    });
    assert.equal(stderr, '');
    assert.equal(code, 0);
  });
});

describe('a system that promises no more memory than it has', () => {
  /** Runs a Node that takes `mode` for vm.overcommit_memory; gives how many segments it came to have. */
  async function segmentsWith(mode) {
    const body = async () => {
      const { once } = require('node:events');
      const fs = require('node:fs');
      const { fork } = require('../..');
      const child = fork('./test/fixtures/echo.js', [], { serialization: 'advanced' });
      for (let i = 0; i < 8; i++) {
        child.send(Buffer.alloc(300_000, i));
        const [message] = await once(child, 'message');
        require('node:assert').equal(message.at(-1), i);
      }
      const maps = fs.readFileSync('/proc/self/maps', 'utf8');
      fs.writeSync(1, String(maps.split('/memfd:forkwire').length - 1));
      child.disconnect();
    };
    const file = '/proc/sys/vm/overcommit_memory';
    const script = `t=$(mktemp) && echo ${mode} > $t && mount --bind $t ${file} && rm $t && exec "$0" "$@"`;
    const args = ['-rm', 'sh', '-c', script, process.execPath, ...functionArgs(body)];
    return run('unshare', args);
  }

  itWith('segments')('has messages of any size go over the socket', async function () {
    const usual = await segmentsWith(0);
    if (usual.code !== 0 && /unshare|mount/.test(usual.stderr)) this.skip(); // not allowed here
    assert.ok(Number(usual.stdout) > 0, usual.stderr);
    const strict = await segmentsWith(2);
    assert.deepEqual([strict.stdout, strict.code], ['0', 0], strict.stderr);
  });
});

describe('the death of one side', () => {
  itWith('segments')('leaves no shared memory behind: the receiver', async () => {
    const child = forkDigester();
    for (let i = 0; i < 4; i++) await digestOf(child, { body: randomBytes(SIZE), keep: true });
    assert.ok(segmentsOf(process.pid) > 0);
    for (let i = 0; i < 20; i++) child.send(randomBytes(SIZE), () => {});
    killUnnoticed(child);
    child.on('error', () => {});
    await once(child, 'exit');
    await until(() => segmentsOf(process.pid) === 0);
  });

  itWith('segments')('leaves what arrived readable: the sender', async () => {
    const child = forkFunction(advanced, () => {
      const bytes = Buffer.alloc(700_000, 7);
      let left = 4;
      const send = () => process.send(bytes, () => (--left > 0 ? setTimeout(send, 20) : null));
      send();
      process.on('message', () => {}); // it stays
    });
    const got = [];
    child.on('message', (bytes) => got.push(bytes));
    await until(() => got.length === 4);
    assert.ok(segmentsOf(process.pid) > 0);
    killUnnoticed(child);
    await once(child, 'exit');
    for (const bytes of got) assert.ok(bytes.every((byte) => byte === 7));
  });
});

describe('a large Buffer that arrived', () => {
  itIsBetter(
    'is copied to a Worker; its memory cannot be transferred from Node 22 on',
    async () => {
      const child = forkFunction(advanced, () => {
        process.on('message', (size) => process.send(Buffer.alloc(size, 7)));
      });
      for (let i = 0; i < 4; i++) {
        child.send(1 << 20);
        const buffer = await nextMessage(child);
        const copy = structuredClone(buffer);
        assert.ok(buffer.equals(copy));
        const transfer = () => structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
        if (Number(process.versions.node.split('.')[0]) < 22) {
          assert.equal(transfer().byteLength, 1 << 20);
          continue;
        }
        assert.throws(transfer, { name: 'DataCloneError' });
        assert.ok(buffer.equals(copy));
      }
      child.disconnect();
      await once(child, 'exit');
    },
  );
});
