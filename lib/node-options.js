'use strict';

// Node's own options of a child: on its command line, and in its NODE_OPTIONS.

/**
 * With these a child runs no preload, or not in the process that has the channel, or may load no addon: by themselves, or by what
 * they have Node read, a policy, a file of options or of variables.
 */
const FORBIDDEN = new RegExp(
  `^--(${[
    'build-sea',
    'build-snapshot',
    'completion-bash',
    'config-file',
    'env-file',
    'experimental-config-file',
    'experimental-default-config-file',
    'experimental-permission',
    'experimental-policy',
    'experimental-sea-config',
    'no-addons',
    'permission',
    'policy-integrity',
    'run',
    'v8-options',
    'version',
    'watch',
  ].join('|')})|^-v$`,
);

// Options whose value is the next argument, so that it is not taken for the script.
const WITH_VALUE = new Set([
  '-r',
  '--require',
  '--import',
  '-e',
  '--eval',
  '-p',
  '--print',
  '-pe',
  '-C',
  '--conditions',
  '--loader',
  '--experimental-loader',
  '--title',
  '--input-type',
  '--icu-data-dir',
  '--test-name-pattern',
]);

/** As Node reads it: underscores in a name are dashes. */
function normalized(argument) {
  if (!argument.startsWith('--')) return argument;
  const [name] = argument.split('=', 1);
  return name.replaceAll('_', '-') + argument.slice(name.length);
}

/**
 * Node's own options among a child's arguments: all before the script. An argument behind an option that we do not
 * know may be its value and not the script; then those behind it count as well, which at worst costs the native wire.
 */
function optionsIn(args) {
  const options = [];
  let mayBeValue = false;
  for (let i = 0; i < args.length; i++) {
    const option = normalized(String(args[i])); // it may be a Buffer
    const isOption = option.startsWith('-');
    if (option === '--' || (!isOption && !mayBeValue)) break;
    if (isOption) options.push(option);
    if (WITH_VALUE.has(option)) i++;
    mayBeValue = isOption && !WITH_VALUE.has(option) && !option.includes('=');
  }
  return options;
}

/** The arguments in NODE_OPTIONS: blanks separate them, but not between double quotes, where a
 * backslash escapes. */
function argumentsOf(nodeOptions) {
  const parts = nodeOptions.match(/(?:"(?:[^"\\]|\\.)*"?|[^\s"])+/gs) ?? [];
  return parts.map((part) =>
    part.replace(/"((?:[^"\\]|\\.)*)"?/gs, (_, quoted) => quoted.replace(/\\(.)/gs, '$1')),
  );
}

/** The first option with which the native wire cannot be, or undefined. @param args behind the program's name */
function forbiddenOption(args, nodeOptions) {
  if (args[0] === 'inspect') return 'inspect';
  const given = [...optionsIn(args), ...argumentsOf(nodeOptions).map(normalized)];
  return given.find((option) => FORBIDDEN.test(option));
}

module.exports = { argumentsOf, forbiddenOption };
