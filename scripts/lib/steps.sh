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

finish() {
  local name
  for name in "${failed[@]}"; do echo "failed: $name"; done
  echo "$passed passed, ${#failed[@]} failed"
  [ "${#failed[@]}" -eq 0 ]
}
