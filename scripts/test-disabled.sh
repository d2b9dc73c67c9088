#!/usr/bin/env bash
# The integration tests once with each fast path switched off: what they promise does not depend on one.
#   scripts/test-disabled.sh [name ...]
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
source scripts/lib/steps.sh

features=("$@")
[ "${#features[@]}" -gt 0 ] || features=(core gathering finishing texts strings plain-data joining spinning slots segments external views sndbuf)

for feature in "${features[@]}"; do
  step "tests without $feature" env FORKWIRE_DISABLE="$feature" \
    FORKWIRE_TEST_LONG=1 timeout 1500 node scripts/test.js integration
done
finish
