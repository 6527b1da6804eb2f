#!/bin/sh
# The long form of the test stress.cache: the shared memory of the cache under kills.
#
#   tests/stress.sh [PRESET] [SECONDS] [WORKERS] [KEYS]
set -eu
cd "$(dirname "$0")/.."
preset=${1:-quick}
cmake --preset "$preset"
cmake --build --preset "$preset" --target cache_stress
exec "build/$preset/tests/cache_stress" "${2:-600}" "${3:-6}" "${4:-64}"
