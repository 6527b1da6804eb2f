#!/usr/bin/env bash
# The functional tests with a static program: in a root directory without libraries, and then all of them.
# A few minutes. The variants of the program that tests of upgrades need come from a normal build.
#
#   tests/static.sh PATH-OF-STATIC-STREAMGATE BUILD-DIRECTORY [NAME...]
#
# A program for another processor runs in qemu-aarch64-static (package qemu-user-static). The emulator has no
# seccomp, executes no other program and is slow, so name tests that allow for this: listen_tls metrics playlist
# range reload stream tls.
set -euo pipefail
usage='usage: tests/static.sh PATH-OF-STATIC-STREAMGATE BUILD-DIRECTORY [NAME...]'
program=$(realpath "${1:?$usage}")
build=$(realpath "${2:?$usage}")
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $EUID == 0 ]] || {
  echo "This needs root, for chroot." >&2
  exit 2
}
# The tests find the variants beside the program.
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
chmod 755 "$beside"
cp "$program" "$beside/streamgate"
if [[ $(uname -m) != aarch64 ]] && LC_ALL=C readelf -h "$program" | grep -q 'Machine: *AArch64'; then
  . deploy/packages.sh
  install_packages openssl python3 qemu-user-static
  mv "$beside/streamgate" "$beside/emulated"
  printf '#!/bin/sh\nSTREAMGATE_SECURITY_CONFINE=off exec qemu-aarch64-static %s "$@"\n' "$beside/emulated" \
    >"$beside/streamgate"
  chmod 755 "$beside/streamgate"
  export EMULATED_STREAMGATE=1
fi
ln -s "$build/tests" "$beside/tests"
export STREAMGATE_BINARY=$beside/streamgate STREAMGATE_BUILD=$build/tests

(($#)) || {
  set -- bare_root
  for file in tests/functional/test_*.py; do
    name=${file##*/test_}
    [[ $file == *bare_root* ]] || set -- "$@" "${name%.py}"
  done
}
# Each test that cannot run with this program says why.
reasons() { sed -n "s/^\(test_[a-z0-9_]*\) .*\.\.\. skipped \(.*\)/  \1: \2/p" "$beside/log"; }
skipped=77 failed=()
for name in "$@"; do
  status=0
  timeout 300 python3 -B "tests/functional/test_$name.py" >"$beside/log" 2>&1 || status=$?
  case $status in
    0) echo "passed: $name" ;;
    "$skipped") echo "skipped: $name" ;;
    *)
      failed+=("$name")
      cat "$beside/log"
      echo "FAILED: $name"
      ;;
  esac
  reasons
done
((${#failed[@]} == 0)) || {
  echo "Failed: ${failed[*]}"
  exit 1
}
echo 'All tests passed.'
