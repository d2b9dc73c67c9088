#!/usr/bin/env bash
# ThreadSanitizer over the core: channels between loops in several threads of one program (test/threads). Needs libuv's
# own library and header, since the one in Node cannot be linked to.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build
clang -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=thread -Isrc src/core/*.c \
  test/threads/threads_test.c -luv -o build/threads_test
TSAN_OPTIONS=halt_on_error=1 build/threads_test
