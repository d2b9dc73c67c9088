'use strict';

// Every code block of the documentation runs: what a reader copies has to work.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { descendantsOf } = require('../helpers/processes');
const { run } = require('../helpers/run');
const { until } = require('../helpers/until');
const { scripts } = require('../../package.json');

const ROOT = path.join(__dirname, '../..');

const documents = [
  ...fs.readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...fs.readdirSync(path.join(ROOT, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));

/** { document, line, language, text, file } of the fenced blocks; `file` is what a first line such as `// child.js` says. */
function blocksOf(document) {
  const text = fs.readFileSync(path.join(ROOT, document), 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    document,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1],
    text: match[2],
    file: /^\/\/ ([\w.-]+)\n/.exec(match[2])?.[1],
  }));
}

/** A folder in which forkwire is installed. */
function makeFolder() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forkwire-docs-'));
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(folder, 'node_modules/forkwire'));
  return folder;
}

async function answerOf(port) {
  const client = net.connect(port).setEncoding('utf8');
  let text = '';
  client.on('data', (chunk) => {
    text += chunk;
  });
  await once(client, 'close');
  return text;
}

/**
 * A program that listens on port 1337, and answers there: started on a free port, asked, and ended.
 * @param ask (port, program, said) => asks; said(text) resolves when it printed that
 */
async function serves(folder, file, ask) {
  const preload = path.join(folder, 'free-port.js');
  fs.writeFileSync(
    preload,
    `const { Server } = require('node:net');
     const { listen } = Server.prototype;
     Server.prototype.listen = function (port, ...args) {
       this.on('listening', () => console.log('port', this.address().port));
       this.on('connection', () => setImmediate(() => console.log('accepted')));
       return listen.call(this, port === 1337 ? 0 : port, ...args);
     };`,
  );
  const program = spawn(process.execPath, ['--require', preload, file], { cwd: folder });
  let output = '';
  program.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const said = (pattern) => until(() => pattern.exec(output));
  const [, port] = await said(/port (\d+)\n/);
  await ask(port, program, said);
  program.kill();
  await once(program, 'close');
}

/** The child that has a client's socket is killed before it takes it. */
async function outlivesItsChild(port, program, said) {
  const [first] = await until(() => descendantsOf(program.pid));
  process.kill(first, 'SIGSTOP');
  const answer = answerOf(port);
  await said(/accepted/);
  process.kill(first, 'SIGKILL');
  const [, by] = /^answered by (\d+)$/.exec(await answer);
  assert.notEqual(Number(by), first);
}

/** Programs that do not end by themselves; all others run to their end, without a word on stderr. */
const SERVERS = {
  'README.md/parent.js': async (port) => assert.equal(await answerOf(port), 'Child handled it.'),
  'docs/api.md/balancer.js': outlivesItsChild,
};

async function runScript({ document, file }, folder) {
  const ask = SERVERS[`${document}/${file}`];
  if (ask) return serves(folder, file, ask);
  const { code, stderr } = await run(process.execPath, [file], { cwd: folder });
  assert.equal(stderr, '');
  assert.equal(code, 0);
}

/** Commands are run by CI, some for minutes. Here: each names what there is. */
function checkCommand(command) {
  const [program, verb, name] = command.split(/\s+/);
  if (program === 'npm' && verb === 'run') assert.ok(scripts[name], command);
  else if (program === 'npm') assert.ok(['ci', 'install'].includes(verb) || scripts[verb], command);
  else if (program === 'curl') assert.match(command, /127\.0\.0\.1:1337/);
  else assert.fail(`what is ${command}?`);
}

describe('the code blocks of the documentation', () => {
  const blocks = documents.flatMap(blocksOf);

  it('are found, and each says what it is', () => {
    assert.ok(blocks.length >= 3);
    for (const { document, line, language } of blocks) {
      assert.ok(['js', 'sh', 'ts'].includes(language), `${document}:${line}`);
    }
  });

  it('for the shell name commands that there are', () => {
    const lines = blocks
      .filter(({ language }) => language === 'sh')
      .flatMap(({ text }) => text.split('\n'));
    const commands = lines
      .flatMap((line) => line.replace(/#.*/, '').split('&&'))
      .map((text) => text.trim());
    for (const command of commands.filter(Boolean)) checkCommand(command);
  });

  for (const document of documents) {
    const programs = blocks.filter(
      (block) => block.document === document && block.language !== 'sh',
    );
    if (programs.length === 0) continue;

    describe(`in ${document}`, () => {
      let folder;

      before(() => {
        folder = makeFolder();
        for (const block of programs) {
          block.file ??= `line-${block.line}.${block.language}`;
          fs.writeFileSync(path.join(folder, block.file), block.text);
        }
      });

      after(() => fs.rmSync(folder, { recursive: true, force: true }));

      for (const block of programs) {
        const title = block.file ?? `line ${block.line}`;
        if (block.language === 'ts') {
          it(`${title} compiles`, async () => {
            const tsc = path.join(ROOT, 'node_modules/.bin/tsc');
            const options = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node'];
            const roots = ['--typeRoots', path.join(ROOT, 'node_modules/@types')];
            const { code, stdout } = await run(tsc, [...options, ...roots, block.file], {
              cwd: folder,
            });
            assert.equal(code, 0, stdout);
          });
        } else if (/process\.on\('message'/.test(block.text)) {
          // A child: runs when its parent does.
        } else {
          it(`${title} runs`, () => runScript(block, folder));
        }
      }
    });
  }
});
