# Sourced by .ci/run and scripts/test-all.sh: steps that are all run, counted, and summed up in the last line.

passed=0
failed=()

step() { # name, command...
  local name=$1 started=$SECONDS
  shift
  echo "== $name"
  if "$@" </dev/null; then
    passed=$((passed + 1))
    echo "== $name: ok ($((SECONDS - started)) s)"
  else
    failed+=("$name")
    echo "== $name: FAILED ($((SECONDS - started)) s)"
  fi
}

beside() { # function: its steps run at the same time as those that follow, with what these leave of the processors
  beside_output=$(mktemp -d)
  (
    passed=0
    failed=()
    renice -n 10 "$BASHPID" >/dev/null
    "$1"
    printf '%s\n' "$passed" "${failed[@]}" >"$beside_output/result"
  ) >"$beside_output/log" 2>&1 </dev/null &
  beside_pid=$!
}

join() { # the steps that run beside
  local result
  wait "$beside_pid"
  cat "$beside_output/log"
  mapfile -t result <"$beside_output/result"
  passed=$((passed + result[0]))
  failed+=("${result[@]:1}")
  rm -r "$beside_output"
}

finish() {
  local name
  for name in "${failed[@]}"; do echo "failed: $name"; done
  echo "$passed passed, ${#failed[@]} failed"
  [ "${#failed[@]}" -eq 0 ]
}
