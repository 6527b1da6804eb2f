#!/usr/bin/env bash
# The long form of the soak: 200 reloads and 20 upgrades in a row under load, some minutes. Takes the
# binary to test; without one, that of the dev preset. Upgrades alternate between it and a second
# one, by default a copy.
#
#   tests/soak.sh [PATH-OF-STREAMGATE [RELOADS [UPGRADES [PATH-OF-ANOTHER]]]]
set -euo pipefail
binary=$(realpath "${1:-build/dev/streamgate}")
other=$(realpath "${4:-$binary}")
cd "$(dirname "${BASH_SOURCE[0]}")"
export STREAMGATE_BINARY=$binary STREAMGATE_SOAK_RELOADS=${2:-200} \
  STREAMGATE_SOAK_UPGRADES=${3:-20} STREAMGATE_SOAK_PROGRAMS=$other:$binary
exec python3 -B functional/test_soak.py
