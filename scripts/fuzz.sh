#!/usr/bin/env bash
# Fuzzes what reads bytes of a peer, with AddressSanitizer and UBSan:
#   fuzz.sh [SECONDS] [TARGET...]      the time (60 by default) is shared equally
#   fuzz.sh --runs N [TARGET...]       N executions of each
#   fuzz.sh --coverage [TARGET...]     what the inputs reach that were learned so far, by file (llvm-cov)
# FUZZ_MAX_LEN bounds the inputs, 512 bytes by default: long ones take their time.
# A target is test/fuzz/<name>_fuzz.c with the files that its `// fuzz-sources:` lines name, from the seeds in
# test/fuzz/corpus/<name>. What is found is in build/fuzz, and so is what was learned, for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=(-max_total_time)
amount=60
runs=
is_coverage=
if [ "${1:-}" = --coverage ]; then
  is_coverage=1
  runs=0
  shift
elif [ "${1:-}" = --runs ]; then
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

flags=(-std=c11 -D_GNU_SOURCE -g -O1 -fno-sanitize-recover=undefined -Isrc -isystem "$include")
sanitizers=address,undefined
objects_in=$out/objects
if [ -n "$is_coverage" ]; then
  flags+=(-fprofile-instr-generate -fcoverage-mapping)
  objects_in=$out/coverage
fi

sources_of() { # target: one a line
  echo "test/fuzz/$1_fuzz.c"
  sed -n 's|^// fuzz-sources: ||p' "test/fuzz/$1_fuzz.c" | tr ' ' '\n'
}

object_of() { # source
  local name=${1//\//-}
  echo "$objects_in/${name%.c}.o"
}

# Each file once, though most targets share it.
compile_all() {
  local sources source job jobs=()
  mkdir -p "$objects_in"
  mapfile -t sources < <(for name in "${targets[@]}"; do sources_of "$name"; done | sort -u)
  for source in "${sources[@]}"; do
    clang "${flags[@]}" -fsanitize="fuzzer-no-link,$sanitizers" -c "$source" -o "$(object_of "$source")" &
    jobs+=($!)
    [ "${#jobs[@]}" -lt "$(nproc)" ] && continue
    wait "${jobs[0]}" || return
    jobs=("${jobs[@]:1}")
  done
  for job in "${jobs[@]}"; do wait "$job" || return; done
}

# Lines and branches of the core that the target's inputs reach.
report_coverage() { # target, program, sources
  local name=$1 program=$2
  shift 2
  llvm-profdata merge -o "$objects_in/$name.profdata" "$objects_in/$name.profraw" || return
  llvm-cov report "$program" -instr-profile="$objects_in/$name.profdata" "$@" |
    awk '/src\/core/ || /^TOTAL/ { print $1, "regions", $4, "lines", $10, "branches", $13 }'
}

fuzz() {
  local name=$1 program=$objects_in/$1_fuzz seeds=test/fuzz/corpus/$1 found=$out/corpus/$1 sources source objects=()
  mkdir -p "$found"
  mapfile -t sources < <(sources_of "$name")
  for source in "${sources[@]}"; do objects+=("$(object_of "$source")"); done
  clang "${flags[@]}" -fsanitize="fuzzer,$sanitizers" "${objects[@]}" -o "$program" || return
  local folders=("$found")
  [ -d "$seeds" ] && folders+=("$seeds")
  LLVM_PROFILE_FILE=$objects_in/$name.profraw "$program" "${limit[@]}" \
    -max_len="${FUZZ_MAX_LEN:-512}" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -entropic=0 \
    -print_final_stats=1 -artifact_prefix="$out/$name-" "${folders[@]}" || return
  [ -z "$is_coverage" ] || report_coverage "$name" "$program" "${sources[@]}"
}

compile_all
failed=0
for name in "${targets[@]}"; do
  echo "-- $name: ${limit[*]}"
  fuzz "$name" || failed=1
done
exit "$failed"
