#!/usr/bin/env bash
# Two honest ends against the model of test/fuzz/model.h, in random interleavings that a seed gives, without libFuzzer
# and sanitizers, so that many fit in a minute:
#   fuzz-model.sh [ledger|channel] [--runs N] [--seed S]     both by default
#   fuzz-model.sh ledger --run K --seed S                    one of them again, with everything that happens
set -euo pipefail
cd "$(dirname "$0")/.."

targets=(ledger channel)
if [[ "${1:-}" =~ ^(ledger|channel)$ ]]; then
  targets=("$1")
  shift
fi

include=$(node scripts/build.js --print-nodedir)/include/node
mkdir -p build/fuzz
for name in "${targets[@]}"; do
  mapfile -t sources < <(sed -n 's|^// fuzz-sources: ||p' "test/fuzz/${name}_fuzz.c" | tr ' ' '\n')
  "${CC:-cc}" -std=c11 -D_GNU_SOURCE -DSTANDALONE -g -O2 -Isrc -isystem "$include" \
    "test/fuzz/${name}_fuzz.c" "${sources[@]}" -o "build/fuzz/${name}_model"
  "build/fuzz/${name}_model" "$@"
done
