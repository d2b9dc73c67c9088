#!/usr/bin/env bash
# Fuzzes what reads bytes of a peer: each test/fuzz/<name>_fuzz.c, from the seeds in test/fuzz/corpus/<name>, with the
# core that needs no loop, or with the files that its `// fuzz-sources:` lines name. The time (seconds, 60 by default) is shared equally. Findings are in build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob

seconds=${1:-60}
out=build/fuzz
targets=(test/fuzz/*_fuzz.c)
# The files of the channel need an event loop.
mapfile -t core < <(grep -L '#include "channel_state.h"' src/core/*.c)
if [ "${#targets[@]}" -eq 0 ]; then
  echo 'there are no fuzz targets in test/fuzz' >&2
  exit 1
fi

include=$(node scripts/build.js --print-nodedir)/include/node
share=$((seconds / ${#targets[@]}))
[ "$share" -gt 0 ] || share=1

sources_of() {
  local named
  named=$(sed -n 's|^// fuzz-sources: ||p' "$1")
  if [ -n "$named" ]; then printf '%s\n' $named; else printf '%s\n' "${core[@]}"; fi
}

fuzz() {
  local name=$1 program=$out/$1_fuzz seeds=test/fuzz/corpus/$1 found=$out/corpus/$1 sources
  mkdir -p "$found"
  mapfile -t sources < <(sources_of "test/fuzz/${name}_fuzz.c")
  clang -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
    -fno-sanitize-recover=undefined -Isrc -isystem "$include" \
    "test/fuzz/${name}_fuzz.c" "${sources[@]}" -o "$program" || return
  local folders=("$found")
  [ -d "$seeds" ] && folders+=("$seeds")
  "$program" -max_total_time="$share" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
    -print_final_stats=1 -artifact_prefix="$out/$name-" "${folders[@]}"
}

failed=0
for target in "${targets[@]}"; do
  name=$(basename "$target" _fuzz.c)
  echo "-- $name: $share s"
  fuzz "$name" || failed=1
done
exit "$failed"
