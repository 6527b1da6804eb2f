#!/usr/bin/env bash
# Sends mutated bytes to a running streamgate that has sanitizers (live.py), for an hour unless the
# arguments say otherwise:
#
#   tests/fuzz/live.sh [--seconds N] [--runs N] [--seed N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ -z ${STREAMGATE_BINARY:-} ]]; then
  cmake --preset dev
  cmake --build --preset dev --target streamgate
  STREAMGATE_BINARY=$PWD/build/dev/streamgate
fi
export STREAMGATE_BINARY
exec python3 -B tests/fuzz/live.py "$@"
