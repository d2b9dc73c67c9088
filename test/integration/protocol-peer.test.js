'use strict';

// docs/protocol.md, seen from a program in another language that was written from it: test/fixtures/raw_peer.py.

const assert = require('node:assert/strict');
const net = require('node:net');
const v8 = require('node:v8');
const { forkRawPeer, startRawParent } = require('../fixtures/protocol-peer');
const { isDisabled } = require('../../lib/features');
const { functionArgs } = require('../helpers/run');
const { itInTurn, some } = require('../helpers/scale');
const { itWith } = require('../helpers/subject');
const { until } = require('../helpers/until');

const MIB = 1 << 20;
const HEADER = 16;
const ENCODING = { JSON: 1, LATIN1: 2, UTF8: 3, UTF16: 4, V8: 5, BYTES: 6 };
const KIND = { TCP: 1, UNIX: 2, UDP: 3 };
const TYPE = { SOCKET: 1, SERVER: 2, NATIVE: 3, DGRAM: 4 };

/** Gives back what comes, with its handle. */
function echo(channel) {
  channel.on('message', (message, handle) => {
    channel.send(message, handle);
    handle?.close?.(); // all but a net.Socket stay open when they are sent
  });
}

/** Either role of forkwire: `body(channel)` runs in it, `peer` is the other end. */
const ROLES = [
  {
    name: 'a forkwire parent',
    open(body, { serialization, ...options } = {}) {
      const { child, peer } = forkRawPeer({ ...options, serialization });
      body(child);
      return peer;
    },
  },
  {
    name: 'a forkwire child',
    open(body, { serialization = 'json', args = [], ...options } = {}) {
      const nodeArgs = functionArgs(`() => (${body})(process)`);
      const channel = ['--channel', `:serialization=${serialization}`];
      return startRawParent(nodeArgs, { args: [...channel, ...args], ...options });
    },
  },
];

async function endByPeer(peer) {
  peer.tell('end');
  await peer.sees('eof');
  await peer.leave();
}

/** A client of a listener in the raw peer, and the name of the connection there. */
async function connectTo(peer, thing) {
  const { port } = await peer.ask('listen', 'listening');
  const client = net.connect(port, '127.0.0.1');
  await peer.ask('accept', 'accepted', { thing });
  return client;
}

async function textOf(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

for (const [index, { name, open }] of ROLES.entries()) {
  describe(`${name} and a raw peer`, () => {
    const it = itInTurn(index, ROLES.length);

    it('both say HELLO first and do not wait for it', async () => {
      const peer = open(echo, { args: ['--quiet'] });
      const hello = await peer.sees('HELLO');
      assert.equal(peer.seen[0], hello);
      const { magic, lowest, highest, features, size, maxMessageSize } = hello;
      assert.deepEqual(
        { magic, lowest, highest, features },
        {
          magic: 'forkwire',
          lowest: 1,
          highest: 1,
          features:
            (isDisabled('segments') ? 0 : 1) +
            (isDisabled('finishing') ? 0 : 16) +
            (isDisabled('strings') ? 0 : 32),
        },
      );
      assert.ok(size >= 32 && size <= 256);
      assert.equal(maxMessageSize, 1024 * MIB);
      peer.tell('hello');
      await endByPeer(peer);
    });

    it('understand a HELLO of a later version that has more fields, features and versions', async () => {
      const peer = open(echo, { args: ['--quiet'] });
      const fields = { magic: 'forkwire', lowest: 1, highest: 9, features: 6 };
      peer.tell('later_hello', { ...fields, n_more: 224 });
      peer.tell('message', { value: 'x' });
      assert.equal((await peer.sees('USER')).value, 'x');
      await endByPeer(peer);
    });

    itWith(['plain-data', 'texts'], it)('exchange messages in every encoding', async () => {
      const peer = open(echo, { serialization: 'advanced' });
      const text = 'naïve — 日本 😀';
      const v8Value = { hex: v8.serialize(new Map([[1, 2n]])).toString('hex') };
      const cases = [
        { encoding: ENCODING.JSON, value: { text, list: [1, null, true, 'x'] } },
        { encoding: ENCODING.LATIN1, value: 'naïve\0ÿ' },
        { encoding: ENCODING.LATIN1, value: '' },
        { encoding: ENCODING.UTF8, value: text },
        { encoding: ENCODING.UTF16, value: text },
        { encoding: ENCODING.V8, value: v8Value },
        { encoding: ENCODING.BYTES, value: { hex: '00ff0a7b' } },
      ];
      for (const { encoding, value } of cases) {
        peer.tell('message', { value, encoding });
        const answer = await peer.sees('USER');
        assert.deepEqual(answer.value, value);
        // Plain data and short strings are JSON, whatever the serialization.
        const isItself = [ENCODING.V8, ENCODING.BYTES].includes(encoding);
        assert.equal(answer.encoding, isItself ? encoding : ENCODING.JSON);
      }
      await endByPeer(peer);
    });

    itWith('texts', it)(
      'send long strings as they are and everything else as JSON without advanced serialization',
      async () => {
        const peer = open((channel) => {
          const long = ['ÿ'.repeat(2000), 'a€'.repeat(1000)];
          for (const message of [...long, 'ÿ', { a: '€' }, 5, null, true]) channel.send(message);
          channel.on('message', () => {});
        });
        const seen = [];
        for (let i = 0; i < 7; i++) seen.push(await peer.sees('USER'));
        assert.deepEqual(
          seen.map(({ value }) => value),
          ['ÿ'.repeat(2000), 'a€'.repeat(1000), 'ÿ', { a: '€' }, 5, null, true],
        );
        assert.equal(seen[0].encoding, ENCODING.LATIN1);
        assert.ok([ENCODING.UTF8, ENCODING.UTF16].includes(seen[1].encoding));
        for (const { encoding } of seen.slice(2)) assert.equal(encoding, ENCODING.JSON);
        await endByPeer(peer);
      },
    );

    it('exchange a message in pieces, cut anywhere', async () => {
      const peer = open(echo);
      const value = 'é€😀'.repeat(10);
      const body = Buffer.byteLength(JSON.stringify(value));
      peer.tell('message', { value, pieces: Array(body - 1).fill(1) });
      assert.equal((await peer.sees('USER')).value, value);
      peer.tell('message', { value, encoding: ENCODING.UTF16, pieces: [1, 0, 2, 3] });
      assert.equal((await peer.sees('USER')).value, value);
      await endByPeer(peer);
    });

    it('exchange a large message in frames of at most 262144 bytes', async () => {
      const peer = open(echo);
      const value = 'x'.repeat(700_000);
      peer.tell('message', { value, encoding: ENCODING.LATIN1 });
      const answer = await peer.sees('USER');
      assert.equal(answer.length, value.length);
      assert.equal(answer.encoding, ENCODING.LATIN1);
      assert.ok(answer.frames >= 3);
      await endByPeer(peer);
    });

    it('let internal messages and control frames pass between the pieces of another message', async () => {
      const peer = open((channel) => {
        channel.on('internalMessage', (message) => channel.send({ got: message }));
        channel.on('message', (message) => channel.send({ got: message }));
      });
      const first = { more: 1, hex: `${'0400000000000000'}2261` };
      peer.tell('frame', { kind: 'USER', flags: 1, encoding: 1, hex: first.hex });
      peer.tell('frame', { kind: 'CREDIT', hex: '00000002000000000000200000000000' });
      peer.tell('message', { lane: 'INTERNAL', value: { cmd: 'NODE_X' }, pieces: [5] });
      assert.deepEqual((await peer.sees('USER')).value, { got: { cmd: 'NODE_X' } });
      peer.tell('frame', { kind: 'USER', flags: 2, encoding: 1, hex: '6222' });
      assert.deepEqual((await peer.sees('USER')).value, { got: 'ab' });
      await endByPeer(peer);
    });

    it('tell internal messages by what they say, on either lane', async () => {
      const peer = open((channel) => {
        const events = ['message', 'internalMessage'];
        for (const event of events) channel.on(event, ({ cmd }) => channel.send([event, cmd]));
        channel.send({ cmd: 'NODE_OUT' });
        channel.send({ cmd: 'NODE_' });
      });
      assert.deepEqual((await peer.sees('INTERNAL')).value, { cmd: 'NODE_OUT' });
      assert.deepEqual((await peer.sees('USER')).value, { cmd: 'NODE_' });
      peer.tell('message', { value: { cmd: 'NODE_HANDLE_ACK' } });
      peer.tell('message', { lane: 'INTERNAL', value: { cmd: 'NODE_IN' } });
      const seen = [await peer.sees('USER'), await peer.sees('USER')].map(({ value }) => value);
      assert.deepEqual(seen, [
        ['internalMessage', 'NODE_HANDLE_ACK'],
        ['internalMessage', 'NODE_IN'],
      ]);
      await endByPeer(peer);
    });

    it('report a socket LANDED, then TAKEN, and it answers its client', async () => {
      const peer = open((channel) => {
        channel.on('message', (message, socket) => socket.end(`${message} from forkwire`));
      });
      const client = await connectTo(peer, 'connection');
      peer.tell('message', { value: 'hello', thing: 'connection' });
      peer.tell('forget', { thing: 'connection' });
      assert.equal((await peer.sees('LANDED')).id, 1);
      assert.deepEqual((await peer.sees('TAKEN')).ranges, [[1, 1]]);
      assert.equal(await textOf(client), 'hello from forkwire');
      await endByPeer(peer);
    });

    it('give a socket that comes with bytes that were read before those bytes first', async () => {
      const peer = open((channel) => {
        channel.on('message', (_, socket) => {
          let text = '';
          socket.on('data', (chunk) => {
            text += chunk;
          });
          socket.on('end', () => socket.end(`got ${text}`));
        });
      });
      const client = await connectTo(peer, 'connection');
      client.end('TAIL');
      peer.tell('message', { value: 'm', thing: 'connection', buffered: 'HEAD ÿ' });
      peer.tell('forget', { thing: 'connection' });
      assert.equal(await textOf(client), `got ${Buffer.from('HEAD ÿTAIL', 'latin1').toString()}`);
      await endByPeer(peer);
    });

    it('send a socket with its inode, and another process answers the client', async () => {
      const peer = open((channel) => {
        const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
          server.close();
          channel.send('yours', socket);
        });
        server.listen(0, '127.0.0.1', () => channel.send(server.address().port));
        channel.on('message', () => {});
      });
      const port = (await peer.sees('USER')).value;
      const client = net.connect(port, '127.0.0.1');
      assert.equal((await peer.sees('BATCH')).count, 1);
      const { value, handle } = await peer.sees('USER');
      assert.equal(value, 'yours');
      const { id, kind, type, flags, hasFd, inodeAgrees, buffered } = handle;
      assert.deepEqual(
        { id, kind, type, hasFd, inodeAgrees, buffered },
        {
          id: 1,
          kind: KIND.TCP,
          type: TYPE.SOCKET,
          hasFd: true,
          inodeAgrees: true,
          buffered: '',
        },
      );
      assert.equal(flags, 2 | 4); // ALLOW_HALF_OPEN, COUNTED
      peer.tell('landed', { id });
      peer.tell('taken', { ranges: [[id, id]] });
      peer.tell('answer', { id, text: 'from Python' });
      assert.equal(await textOf(client), 'from Python');
      await endByPeer(peer);
    });

    it('give servers, UDP and unix sockets back as they came', async () => {
      const peer = open(echo);
      const { port } = await peer.ask('listen', 'listening');
      peer.tell('keep_listener', { thing: 'server' });
      await peer.ask('udp', 'bound', { thing: 'udp' });
      peer.tell('pair', { thing: 'unix' });
      const cases = [
        { thing: 'server', kind: KIND.TCP, type: TYPE.SERVER },
        { thing: 'udp', kind: KIND.UDP, type: TYPE.DGRAM },
        { thing: 'unix', kind: KIND.UNIX, type: TYPE.SOCKET },
        { thing: 'server', kind: KIND.TCP, type: TYPE.NATIVE },
      ];
      for (const { thing, kind, type } of cases) {
        peer.tell('message', { value: thing, thing, kind, type });
        const { value, handle } = await peer.sees('USER');
        assert.equal(value, thing);
        assert.deepEqual([handle.kind, handle.type], [kind, type]);
        assert.ok(handle.inodeAgrees);
        peer.tell('landed', { id: handle.id });
        peer.tell('taken', { ranges: [[handle.id, handle.id]] });
        peer.tell('drop', { id: handle.id });
      }
      assert.ok(port > 0);
      await endByPeer(peer);
    });

    it('take a set of several descriptors, each with its own message', async () => {
      const peer = open((channel) => {
        channel.on('message', (message, socket) => socket.end(message));
      });
      const { port } = await peer.ask('listen', 'listening');
      const things = Array.from({ length: 20 }, (_, i) => `socket ${i}`);
      const clients = [];
      for (const thing of things) {
        clients.push(net.connect(port, '127.0.0.1'));
        await peer.ask('accept', 'accepted', { thing });
      }
      peer.tell('set', { things });
      for (const thing of things) peer.tell('forget', { thing });
      assert.deepEqual(await Promise.all(clients.map(textOf)), things);
      const taken = [];
      while (taken.length < things.length) {
        for (const [first, last] of (await peer.sees('TAKEN')).ranges) {
          for (let id = first; id <= last; id++) taken.push(id);
        }
      }
      assert.deepEqual(
        taken,
        Array.from(things.keys(), (i) => i + 1),
      );
      await endByPeer(peer);
    });

    it('put several descriptors that are sent at once into one set', async () => {
      const peer = open((channel) => {
        const server = require('node:net').createServer();
        server.listen(0, () => {
          for (let i = 0; i < 300; i++) channel.send(i, server);
          server.close();
        });
        channel.on('message', () => {});
      });
      let sets = 0;
      for (let i = 0; i < 300; i++) {
        const { value, handle } = await peer.sees('USER');
        assert.equal(value, i);
        assert.equal(handle.id, i + 1);
        assert.ok(handle.inodeAgrees);
        peer.tell('drop', { id: i + 1 });
      }
      for (const { event, count } of peer.seen) {
        if (event !== 'BATCH') continue;
        sets++;
        assert.ok(count <= 253);
      }
      assert.ok(sets < 150, `${sets} sets`);
      peer.tell('landed', { id: 300 });
      peer.tell('end', { ranges: [[1, 300]] });
      await peer.sees('eof');
      await peer.leave();
    });

    it('answer REFUSED and close the copy where the descriptor is not what was declared', async () => {
      const peer = open(echo);
      await peer.ask('listen', 'listening');
      peer.tell('keep_listener', { thing: 'server' });
      peer.tell('message', { value: 'm', thing: 'server', type: TYPE.SOCKET });
      const { id, reason } = await peer.sees('REFUSED');
      assert.deepEqual([id, reason], [1, 1]);
      peer.tell('message', { value: 'goes on' });
      assert.equal((await peer.sees('USER')).value, 'goes on');
      await endByPeer(peer);
    });

    it('answer END with END when the peer ends first, after what came before it', async () => {
      const peer = open(echo);
      peer.tell('message', { value: 'last' });
      peer.tell('end');
      await peer.sees('END');
      await peer.sees('eof');
      // The echo of the last message is either sent before the answer or not at all.
      const rest = peer.frames.filter((frame) => frame !== 'USER');
      assert.deepEqual(rest, ['HELLO', 'END']);
      await peer.leave();
    });

    it('send END first at disconnect(), after what was sent before it, and wait for the answer', async () => {
      const peer = open((channel) => {
        channel.send('before');
        channel.disconnect();
      });
      await peer.sees('END');
      assert.deepEqual(peer.frames, ['HELLO', 'USER', 'END']);
      peer.tell('end');
      await peer.sees('eof');
      await peer.leave();
    });

    it('need no answer where the ENDs cross', async () => {
      const peer = open((channel) => {
        channel.on('message', () => channel.disconnect());
      });
      peer.tell('message', { value: 'go' });
      peer.tell('end');
      await peer.sees('eof');
      assert.equal(peer.frames.filter((frame) => frame === 'END').length, 1);
      await peer.leave();
    });

    it('take the end of the stream for an END, also within a frame', async () => {
      const peer = open((channel) => {
        channel.on('message', () => channel.send('heard'));
        channel.on('disconnect', () => process.stdout.write?.(''));
      });
      peer.tell('message', { value: 'm' });
      await peer.sees('USER');
      peer.tell('bytes', { hex: '0500000003' });
      peer.tell('shutdown');
      await peer.sees('eof');
      await peer.leave();
    });

    it('report in END which handles were taken that no TAKEN frame reported', async () => {
      const peer = open((channel) => {
        channel.on('message', (_, socket) => {
          socket.end('answer');
          channel.disconnect();
        });
      });
      const client = await connectTo(peer, 'connection');
      peer.tell('message', { value: 'm', thing: 'connection' });
      peer.tell('forget', { thing: 'connection' });
      assert.equal(await textOf(client), 'answer');
      await peer.sees('END');
      const reports = peer.seen.filter(({ ranges }) => ranges?.length > 0);
      assert.deepEqual(
        reports.map(({ ranges }) => ranges),
        [[[1, 1]]],
      );
      await endByPeer(peer);
    });

    it('deliver handles that came before END, and give back TAKEN for them', async () => {
      const peer = open((channel) => {
        channel.on('message', (_, socket) => socket.end('still answered'));
      });
      const client = await connectTo(peer, 'connection');
      peer.tell('message', { value: 'm', thing: 'connection' });
      peer.tell('forget', { thing: 'connection' });
      peer.tell('end');
      assert.equal(await textOf(client), 'still answered');
      await peer.sees('eof');
      const ranges = peer.seen.flatMap((event) => event.ranges ?? []);
      assert.deepEqual(ranges, [[1, 1]]);
      await peer.leave();
    });

    it('send no more than the first credit before they know anything of the peer', async () => {
      const peer = open(
        (channel) => {
          const message = 'x'.repeat(200_000);
          for (let i = 0; i < 100; i++) channel.send(message);
          channel.on('message', (_, socket) => socket.destroy());
        },
        { args: ['--quiet'] },
      );
      peer.tell('grant_by_hand');
      const cost = 200_000 + HEADER;
      const inCredit = Math.floor((16 * MIB) / cost);
      for (let i = 0; i < inCredit; i++) await peer.sees('USER');
      // Control frames need no credit: this comes out while the messages cannot.
      peer.tell('hello');
      peer.tell('pair', { thing: 'unix' });
      peer.tell('message', { value: 'm', thing: 'unix', kind: KIND.UNIX });
      await peer.sees('TAKEN');
      const count = () => peer.seen.filter(({ event }) => event === 'USER').length;
      assert.equal(count(), inCredit);
      peer.tell('credit', { user: 16 * MIB + cost, internal: MIB });
      await peer.sees('USER');
      peer.tell('credit', { user: 64 * MIB, internal: MIB });
      for (let i = inCredit + 1; i < 100; i++) await peer.sees('USER');
      await endByPeer(peer);
    });

    it('give credit back as messages are delivered, and none while nobody listens', async () => {
      const peer = open((channel) => {
        channel.channel.ref();
        channel.on('internalMessage', () => {
          let count = 0;
          channel.on('message', () => {
            if (++count === 120) channel.send('all');
          });
        });
      });
      peer.tell('message', { length: 250_000, encoding: ENCODING.LATIN1, count: 120 });
      peer.tell('sent');
      const stopped = (await peer.sees('sent')).USER;
      assert.ok(stopped <= 16 * MIB && stopped > 16 * MIB - 2 * 250_016, `${stopped} bytes`);
      peer.tell('message', { lane: 'INTERNAL', value: { cmd: 'NODE_GO' } });
      assert.equal((await peer.sees('USER')).value, 'all');
      const limits = peer.seen.filter(({ event }) => event === 'CREDIT').map(({ user }) => user);
      assert.deepEqual(
        limits,
        limits.toSorted((a, b) => a - b),
      );
      assert.ok(limits.at(-1) <= 16 * MIB + 120 * 250_016);
      await endByPeer(peer);
    });

    it('credit a message in pieces that is larger than the credit as it arrives', async () => {
      const peer = open((channel) => {
        channel.on('message', (message) => channel.send(message.length));
      });
      peer.tell('message', { length: 20 * MIB, encoding: ENCODING.LATIN1 });
      assert.equal((await peer.sees('USER')).value, 20 * MIB);
      await endByPeer(peer);
    });

    it('have at most 512 handles on the way that nobody took', async () => {
      const peer = open((channel) => {
        const server = require('node:net').createServer();
        server.listen(0, () => {
          for (let i = 0; i < 600; i++) channel.send(i, server);
          server.close();
        });
        channel.on('message', (_, socket) => socket.destroy());
      });
      for (let id = 1; id <= 512; id++) {
        await peer.sees('USER');
        peer.tell('drop', { id });
      }
      peer.tell('landed', { id: 512 });
      peer.tell('pair', { thing: 'unix' });
      peer.tell('message', { value: 'm', thing: 'unix', kind: KIND.UNIX });
      await peer.sees('TAKEN');
      const count = () => peer.seen.filter(({ handle }) => handle).length;
      assert.equal(count(), 512);
      peer.tell('taken', { ranges: [[10, 12]] });
      for (let id = 513; id <= 515; id++) {
        assert.equal((await peer.sees('USER')).handle.id, id);
        peer.tell('drop', { id });
      }
      peer.tell('refused', { id: 1, reason: 2 });
      assert.equal((await peer.sees('USER')).handle.id, 516);
      peer.tell('drop', { id: 516 });
      peer.tell('end');
      await peer.sees('eof');
      await peer.leave();
    });

    it('are sent at most 512 handles until a listener takes them', async () => {
      const peer = open((channel) => {
        channel.channel.ref();
        channel.on('internalMessage', () => {
          let count = 0;
          channel.on('message', (_, socket) => {
            socket.destroy();
            if (++count === 600) channel.send('all');
          });
        });
      });
      peer.tell('pair', { thing: 'unix' });
      peer.tell('message', { value: 'm', thing: 'unix', kind: KIND.UNIX, count: 600 });
      while ((await peer.sees('LANDED')).id < 512);
      assert.equal((await peer.ask('sent', 'sent')).handles, 512);
      peer.tell('message', { lane: 'INTERNAL', value: { cmd: 'NODE_GO' } });
      assert.equal((await peer.sees('USER')).value, 'all');
      await endByPeer(peer);
    });
  });
}

describe('FORKWIRE_CHANNEL', () => {
  const report = () => {
    const { FORKWIRE_CHANNEL, NODE_OPTIONS } = process.env;
    process.on('message', () => {});
    const isConnected = process.send !== undefined;
    console.log(JSON.stringify({ isConnected, FORKWIRE_CHANNEL, NODE_OPTIONS }));
    if (isConnected) process.send(Buffer.from('a'));
  };

  async function reported(channel) {
    const peer = startRawParent(functionArgs(report), { args: channel });
    const result = JSON.parse((await peer.sees('output')).line);
    return { peer, result };
  }

  it('takes effect and leaves no trace for user code', async () => {
    const { peer, result } = await reported([]);
    assert.deepEqual(result, { isConnected: true });
    assert.deepEqual((await peer.sees('USER')).value, { type: 'Buffer', data: [97] });
    await endByPeer(peer);
  });

  it('says how the child serializes; names that are not known are ignored', async () => {
    const suffix = ':future=1,serialization=advanced,other=x:y';
    const { peer, result } = await reported(['--channel', suffix]);
    assert.deepEqual(result, { isConnected: true });
    assert.equal((await peer.sees('USER')).encoding, ENCODING.BYTES);
    await endByPeer(peer);
  });

  const values = ['3:1', '999:1', '0:1:serialization=json', 'nonsense', '', '3:99999999999999'];
  for (const value of some(values, 0, 3)) {
    it(`with the value '${value}' was meant for another process and is ignored`, async () => {
      const { peer, result } = await reported(['--env', `FORKWIRE_CHANNEL=${value}`]);
      assert.equal(result.isConnected, false);
      await peer.sees('exit', { code: 0 });
      assert.deepEqual(peer.frames, []);
      await peer.leave();
    });
  }
});

describe('the descriptor of a native channel', () => {
  it('is close-on-exec in both processes', async () => {
    const { child, peer } = forkRawPeer();
    echo(child);
    const flags = require('node:fs').readFileSync(`/proc/self/fdinfo/${child.channel.fd}`, 'utf8');
    assert.ok(Number.parseInt(/flags:\s*(\d+)/.exec(flags)[1], 8) & 0o2000000);
    await endByPeer(peer);
    await until(() => child.channel === null);
  });
});
