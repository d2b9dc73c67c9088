#!/usr/bin/env bash
# clang's warnings and clang-tidy over the core and the binding, with Node's headers.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

include=$(node scripts/build.js --print-nodedir)/include/node || exit 1
common=(-D_GNU_SOURCE -Wall -Wextra -Werror -Isrc -isystem "$include")
c_flags=(-std=c11 "${common[@]}")
cc_flags=(-std=c++17 "${common[@]}" -isystem node_modules/node-addon-api)
cc_flags+=(-DNAPI_VERSION=8 -DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS)
# zig_runtime.cc needs zig's C++ library.
mapfile -t binding < <(find src/binding -name '*.cc' ! -name zig_runtime.cc | sort)
failed=0

clang "${c_flags[@]}" -fsyntax-only src/core/*.c || failed=1
clang++ "${cc_flags[@]}" -fsyntax-only "${binding[@]}" || failed=1

tidy() { # files -- flags
  local files=()
  while [ "$1" != -- ]; do
    files+=("$1")
    shift
  done
  printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I {} clang-tidy --quiet {} "$@" || failed=1
}

tidy src/core/*.c -- "${c_flags[@]}"
tidy "${binding[@]}" -- "${cc_flags[@]}"

exit "$failed"
