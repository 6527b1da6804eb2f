#!/usr/bin/env bash
# The long form of the soak: 200 reloads in a row under load, some minutes. Takes the binary to test;
# without one, that of the dev preset.
#
#   tests/soak.sh [PATH-OF-STREAMGATE [RELOADS]]
set -euo pipefail
binary=$(realpath "${1:-build/dev/streamgate}")
cd "$(dirname "${BASH_SOURCE[0]}")"
STREAMGATE_BINARY=$binary STREAMGATE_SOAK_RELOADS=${2:-200} exec python3 -B functional/test_soak.py
