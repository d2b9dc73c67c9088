#!/usr/bin/env bash
# What the tests reach: lib by V8's own counters (c8), over all children, on the oldest and the newest Node together; src
# by gcov (gcovr). The tests are those of `npm test`; arguments go to mocha in their place. Reports are in coverage/.
# A process that is killed, as many children are, writes no counters: what only it runs is not seen.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

tests=("$@")
[ "${#tests[@]}" -gt 0 ] || tests=('test/{unit,integration,hostile}/**/*.test.js')
# Node gives NODE_V8_COVERAGE to every child: these compare whole environments.
env_tests="fork\(\)'s environment|a child's environment|a copy of the package"
rm -rf coverage
mkdir -p coverage
failed=0

node scripts/build.js --coverage --cc=gcc --cxx=g++ || exit 1
find build/coverage build/core-tests -name '*.gcda' -delete
CC=gcc CFLAGS=--coverage node scripts/test-core.js || failed=1

export FORKWIRE_BINARY="$PWD/build/coverage/build/Release/forkwire.node"
for version in 20 26; do
  echo "-- Node $version"
  NODE_V8_COVERAGE="$PWD/coverage/v8" node scripts/with-node.js "$version" -- \
    node_modules/mocha/bin/mocha.js --reporter dot --timeout 120000 --grep "$env_tests" --invert "${tests[@]}" || failed=1
done

# By folder: a test may start a child from a copy of lib, which is none of ours.
node_modules/.bin/c8 report --temp-directory coverage/v8 --merge-async --include 'lib/**/*.js' \
  --reporter text --reporter json-summary --reports-dir coverage/lib | tee coverage/lib.txt || failed=1

# The addon's sources are a copy in build/coverage, those of the core's tests the originals.
gcovr --root build/coverage --filter 'build/coverage/src/' --json coverage/addon.json build/coverage || failed=1
gcovr --root . --filter 'src/' --json coverage/core.json build/core-tests || failed=1
for part in src/core src/binding; do
  gcovr --root . --add-tracefile coverage/addon.json --add-tracefile coverage/core.json \
    --filter "$part/" --txt --output "coverage/${part#src/}.txt" || failed=1
  echo "-- $part"
  cat "coverage/${part#src/}.txt"
done

exit "$failed"
