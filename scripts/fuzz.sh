#!/usr/bin/env bash
# Fuzzes what reads bytes of a peer, with AddressSanitizer and UBSan:
#   fuzz.sh [SECONDS] [TARGET...]      the time (60 by default) is shared equally
#   fuzz.sh --runs N [TARGET...]       N executions of each
# A target is test/fuzz/<name>_fuzz.c with the files that its `// fuzz-sources:` lines name, from the seeds in
# test/fuzz/corpus/<name>. What is found is in build/fuzz, and so is what was learned, for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=(-max_total_time)
amount=60
runs=
if [ "${1:-}" = --runs ]; then
  runs=$2
  shift 2
elif [[ "${1:-}" =~ ^[0-9]+$ ]]; then
  amount=$1
  shift
fi

out=build/fuzz
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
  mapfile -t targets < <(basename -s _fuzz.c test/fuzz/*_fuzz.c)
fi
if [ -n "$runs" ]; then
  limit=("-runs=$runs")
else
  share=$((amount / ${#targets[@]}))
  limit=("-max_total_time=$((share > 0 ? share : 1))")
fi

include=$(node scripts/build.js --print-nodedir)/include/node
# Short runs: what is freed need not be kept long, and a fault is found again with its input.
export ASAN_OPTIONS=quarantine_size_mb=8:malloc_context_size=4

fuzz() {
  local name=$1 program=$out/$1_fuzz seeds=test/fuzz/corpus/$1 found=$out/corpus/$1 sources
  mkdir -p "$found"
  mapfile -t sources < <(sed -n 's|^// fuzz-sources: ||p' "test/fuzz/${name}_fuzz.c" | tr ' ' '\n')
  clang -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
    -fno-sanitize-recover=undefined -Isrc -isystem "$include" \
    "test/fuzz/${name}_fuzz.c" "${sources[@]}" -o "$program" || return
  local folders=("$found")
  [ -d "$seeds" ] && folders+=("$seeds")
  "$program" "${limit[@]}" -max_len=512 -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
    -entropic=0 -print_final_stats=1 -artifact_prefix="$out/$name-" "${folders[@]}"
}

failed=0
for name in "${targets[@]}"; do
  echo "-- $name: ${limit[*]}"
  fuzz "$name" || failed=1
done
exit "$failed"
