# Sourced by .ci/run and scripts/test-all.sh: steps that are all run, counted, and summed up at the end, with the last lines of those
# that failed.

TAIL=60
passed=0
failed=()
steps_output=$(mktemp -d)

step() { # name, command...
  local name=$1 started=$SECONDS output="$steps_output/$1"
  shift
  echo "== $name"
  "$@" </dev/null 2>&1 | tee "$output"
  if [ "${PIPESTATUS[0]}" -eq 0 ]; then
    passed=$((passed + 1))
    rm "$output"
    echo "== $name: ok ($((SECONDS - started)) s)"
  else
    failed+=("$name")
    echo "== $name: FAILED ($((SECONDS - started)) s)"
  fi
}

beside() { # function: its steps run at the same time as those that follow, with what these leave of the processors
  (
    passed=0
    failed=()
    renice -n 10 "$BASHPID" >/dev/null
    "$1"
    printf '%s\n' "$passed" "${failed[@]}" >"$steps_output/.beside"
  ) >"$steps_output/.log" 2>&1 </dev/null &
  beside_pid=$!
}

join() { # the steps that run beside
  local result
  wait "$beside_pid"
  cat "$steps_output/.log"
  mapfile -t result <"$steps_output/.beside"
  passed=$((passed + result[0]))
  failed+=("${result[@]:1}")
}

finish() {
  local name
  for name in "${failed[@]}"; do
    echo "-- the end of: $name"
    tail -n "$TAIL" "$steps_output/$name"
  done
  for name in "${failed[@]}"; do echo "failed: $name"; done
  rm -r "$steps_output"
  echo "$passed passed, ${#failed[@]} failed"
  [ "${#failed[@]}" -eq 0 ]
}
