#!/usr/bin/env bash
# Everything that can be tested on this machine: all of .ci/run's tests, the long form of the whole suite on each supported
# Node with the same binary, and a longer fuzz. FUZZ_SECONDS (600 by default) sets its length.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
source scripts/lib/steps.sh

# For the package on arm64.
install_emulator() {
  command -v qemu-aarch64-static >/dev/null && [ -d /usr/aarch64-linux-gnu/lib ] && return
  apt-get update -qq && apt-get install -y -qq --no-install-recommends \
    qemu-user-static libstdc++6-arm64-cross
}

step 'emulator' install_emulator
step 'build' node scripts/build.js
step 'core' node scripts/test-core.js
for version in 20 22 24 26; do
  FORKWIRE_TEST_LONG=1 step "tests on Node $version" timeout 1500 node scripts/with-node.js "$version" -- \
    scripts/test.js unit integration hostile
done
step 'attacks in all surroundings' node_modules/.bin/mocha test/faults/attacks.test.js
step 'interop' timeout 1800 npm run test:interop
step 'tests without each fast path' bash scripts/test-disabled.sh
step '20000 passes of every kind' timeout 900 node_modules/.bin/mocha 'test/long/**/*.test.js'
step 'types' npm run types
FORKWIRE_TEST_LONG=1 step 'package test' timeout 900 npm run test:package
step 'package test, with compiler and emulator' timeout 3600 node_modules/.bin/mocha 'test/package/long/*.test.js'
step 'faults, long forms, both wires' timeout 3600 npm run test:faults -- --long --channel native,node
step 'each fault of stock Node fails there' timeout 900 npm run test:faults -- --stock
step 'soak' npm run soak -- "${SOAK_MINUTES:-10}"
step 'lint and format' npm run lint
step 'lint of C' npm run lint:c
step 'sanitizers' timeout 1800 npm run sanitize
step 'sanitizer of threads' timeout 120 npm run sanitize:threads
FORKWIRE_TEST_LONG=1 step 'changed recordings' timeout 600 node_modules/.bin/mocha test/hostile/bytes.test.js
step 'model fuzz' npm run fuzz:model -- --runs 10000000 --seed "$(date +%s)"
step 'fuzz' npm run fuzz -- "${FUZZ_SECONDS:-600}"
finish
