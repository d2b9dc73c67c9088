'use strict';

// One line to the terminal, and the error whose message is meant for people and not for a stack trace.

class BuildError extends Error {}

function say(line) {
  process.stderr.write(`forkwire: ${line}\n`);
}

/** Runs a script's main function; a BuildError ends it with its one sentence and exit code 1. */
async function runMain(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

/** 'a', 'a and b', 'a, b and c' */
function listOf(words) {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

module.exports = { BuildError, say, runMain, listOf };
