#!/usr/bin/env bash
# The long form of the soak test: 200 reloads and 20 upgrades under load, with two paced streams of
# 10 minutes. The binary defaults to that of the dev preset. Upgrades alternate between it and
# PATH-OF-ANOTHER, by default a copy.
#
#   tests/soak.sh [PATH-OF-STREAMGATE [RELOADS [UPGRADES [SECONDS [PATH-OF-ANOTHER]]]]]
set -euo pipefail
binary=$(realpath "${1:-build/dev/streamgate}")
other=$(realpath "${5:-$binary}")
cd "$(dirname "${BASH_SOURCE[0]}")"
export STREAMGATE_BINARY=$binary STREAMGATE_SOAK_RELOADS=${2:-200} \
  STREAMGATE_SOAK_UPGRADES=${3:-20} STREAMGATE_SOAK_SECONDS=${4:-600} \
  STREAMGATE_SOAK_PROGRAMS=$other:$binary
exec python3 -B functional/test_soak.py
