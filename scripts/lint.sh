#!/usr/bin/env bash
# Lint and format: checks, or with --write repairs what can be repaired.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

failed=0
mapfile -t c_files < <(find src test -name '*.c' -o -name '*.h' -o -name '*.cc' | sort)
biome=(node_modules/.bin/biome check)
clang_format=(clang-format)

if [ "${1:-}" = --write ]; then
  biome+=(--write)
  clang_format+=(-i)
else
  clang_format+=(--dry-run -Werror)
fi

"${biome[@]}" || failed=1

if ! command -v clang-format >/dev/null; then
  echo 'clang-format is not installed: the C and C++ files were not looked at' >&2
elif [ "${#c_files[@]}" -gt 0 ]; then
  "${clang_format[@]}" "${c_files[@]}" || failed=1
fi

# The lock file must work with every registry: npm writes no addresses with omit-lockfile-registry-resolved.
if grep -n '"resolved"' package-lock.json; then
  echo 'package-lock.json holds download addresses: npm install --omit-lockfile-registry-resolved' >&2
  failed=1
fi

exit "$failed"
