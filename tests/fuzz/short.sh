#!/usr/bin/env bash
# Builds the fuzz targets and runs each for some seconds, from its corpus:
#
#   tests/fuzz/short.sh [SECONDS]    default: 20
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/packages.sh

seconds=${1:-20}
install_packages "${BUILD_PACKAGES[@]}" clang
cmake --preset fuzz
cmake --build --preset fuzz
for target in build/fuzz/tests/*_fuzzer; do
  name=$(basename "$target" _fuzzer)
  new=build/fuzz/tests/new-$name
  mkdir -p "$new"
  echo "== $name"
  "$target" -max_total_time="$seconds" -timeout=10 -print_final_stats=1 -artifact_prefix="$new/" "$new" \
    "tests/fuzz/corpus/$name" 2>"$new.log" || {
    tail -n 50 "$new.log"
    exit 1
  }
  grep -E 'stat::number_of_executed_units' "$new.log"
done
