'use strict';

// The options that name lib/register.js by a package's name, a relative path or a link, in process.execArgv and
// NODE_OPTIONS: they get its own path, so that they mean the same for a child in another folder, or when the link is moved.

const fs = require('node:fs');
const { fileURLToPath, pathToFileURL } = require('node:url');

const BARE_NAME = 'forkwire/register';
const OPTIONS = ['--require', '-r', '--import'];
const IN_ONE = /^(--require|--import)=(.*)$/s;
const IN_NODE_OPTIONS =
  /(?<=^| )(--require|-r|--import)([ =]+)(?:"([^"\\]*register[^"\\]*)"|([^" ]*register[^" ]*))(?= |$)/g;

function isFile(name, self) {
  try {
    return fs.realpathSync(name) === fs.realpathSync(self);
  } catch {
    return false; // no such file: the option names something else
  }
}

function isOurs(name, self) {
  if (name === BARE_NAME) return true;
  if (!/^(\.{0,2}\/|file:)/.test(name)) return false;
  const file = name.startsWith('file:') ? fileURLToPath(name) : name;
  return [file, `${file}.js`].some((candidate) => isFile(candidate, self));
}

/** What an option is to say instead: --import takes a URL. */
const absoluteFor = (option, self) => (option === '--import' ? pathToFileURL(self).href : self);

function argumentFor(argument, before, self) {
  if (OPTIONS.includes(before)) {
    return isOurs(argument, self) ? absoluteFor(before, self) : argument;
  }
  const [, option, name] = IN_ONE.exec(argument) ?? [];
  return option && isOurs(name, self) ? `${option}=${absoluteFor(option, self)}` : argument;
}

const quote = (text) => `"${text.replace(/(["\\])/g, '\\$1')}"`;

/** @param process whose options these are @param self the absolute path of lib/register.js */
function nameAbsolutely({ execArgv, env }, self) {
  execArgv.forEach((argument, i) => {
    execArgv[i] = argumentFor(argument, execArgv[i - 1], self);
  });
  const given = env.NODE_OPTIONS;
  const said = given?.replace(IN_NODE_OPTIONS, (text, option, gap, quoted, plain) =>
    isOurs(quoted ?? plain, self) ? option + gap + quote(absoluteFor(option, self)) : text,
  );
  if (said !== given) env.NODE_OPTIONS = said;
}

module.exports = { nameAbsolutely };
