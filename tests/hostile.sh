#!/usr/bin/env bash
# Attacks a release build and measures a bystander (the label hostile). $STREAMGATE_BINARY names the
# program; without it, the release preset is built. The arguments go to hostile/hostile.py:
#
#   tests/hostile.sh [--only NAME[,NAME]] [--soak MINUTES]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -z ${STREAMGATE_BINARY:-} ]]; then
  cmake --preset release
  cmake --build --preset release
  STREAMGATE_BINARY=$PWD/build/release/streamgate
fi
export STREAMGATE_BINARY
ulimit -n "$(ulimit -Hn)"
exec python3 -B tests/hostile/hostile.py "$@"
