#!/usr/bin/env bash
# Runs a command in a user and mount namespace of its own in which the kernel starts programs for arm64 with qemu, those
# that they start included. Needs Linux 6.7 and Debian's qemu-user-static, libstdc++6-arm64-cross.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
  export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
  exec unshare --user --map-root-user --mount bash "$0" --inside "$@"
fi
shift

# The first 20 bytes of an ELF file for arm64, and which of their bits count. F: the emulator is opened now.
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf '%s' ":arm64:M::$magic:$mask:$(command -v qemu-aarch64-static):F" >/proc/sys/fs/binfmt_misc/register
exec "$@"
