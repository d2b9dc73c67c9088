#!/usr/bin/env bash
# Runs the integration, hostile and fault tests on an addon built with AddressSanitizer and UBSan. Node itself is the plain one, so the
# runtime is preloaded: clang's, which is one library for both, so that the reports of both go where log_path says
# (gcc's two libraries take it from each other). A report of any process fails the run, also where the test did not
# notice. Arguments go to mocha in their place.
set -euo pipefail
cd "$(dirname "$0")/.."

LDFLAGS=-shared-libasan node scripts/build.js --sanitize --cc=clang --cxx=clang++

tests=("$@")
[ "$#" -gt 0 ] || tests=('test/{integration,hostile,faults}/**/*.test.js')

reports="$PWD/build/sanitize/reports"
rm -rf "$reports"
mkdir -p "$reports"

export FORKWIRE_BINARY="$PWD/build/sanitize/build/Release/forkwire.node"
export ASAN_OPTIONS="detect_leaks=0:log_path=$reports/report"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:log_path=$reports/report"

failed=0
LD_PRELOAD=$(clang -print-file-name="libclang_rt.asan-$(uname -m).so") \
  node node_modules/mocha/bin/mocha.js "${tests[@]}" || failed=1

for report in "$reports"/*; do
  [ -s "$report" ] || continue
  failed=1
  echo "-- ${report##*/}"
  cat "$report"
done

exit "$failed"
