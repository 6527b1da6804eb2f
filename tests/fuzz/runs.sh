#!/usr/bin/env bash
# Runs fuzz targets of the preset `fuzz`, which must be built, until each has made RUNS runs in all:
#
#   tests/fuzz/runs.sh RUNS [TARGET...]    default: all targets
#
# The targets take turns. Their counts are in build/fuzz/tests/runs-<target>, so a later call goes on
# where this one was stopped. Takes only the CPU time that nobody else wants.
#
#   STREAMGATE_FUZZ_LENGTH=N    the longest input, default 512: short ones make most runs
#   STREAMGATE_FUZZ_TURN=N      seconds of a turn, default 120
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ((!$#)); then
  echo "usage: tests/fuzz/runs.sh RUNS [TARGET...]" >&2
  exit 2
fi
wanted=$1
shift
built=$PWD/build/fuzz/tests
names=("$@")
if ((!$#)); then
  mapfile -t names < <(find "$built" -maxdepth 1 -name '*_fuzzer' -printf '%f\n' | sed 's/_fuzzer$//' | sort)
fi
chrt --idle --pid 0 $$ || true
# The scheduler weighs whole sessions first.
echo 19 2>/dev/null >/proc/self/autogroup || true

runs_of() { cat "$built/runs-$1" 2>/dev/null || echo 0; }

# A third of the time of short runs went to these: the schedule that counts rare features, and the
# stacks of allocations. A finding is replayed without the second option.
export ASAN_OPTIONS=malloc_context_size=0:${ASAN_OPTIONS:-}

# One turn. An input may wait long for the CPU, hence its timeout.
run() {
  local name=$1 before made
  local new=$built/new-$name
  before=$(runs_of "$name")
  mkdir -p "$new"
  "$built/${name}_fuzzer" -runs=$((wanted - before)) -max_total_time="${STREAMGATE_FUZZ_TURN:-120}" \
    -max_len="${STREAMGATE_FUZZ_LENGTH:-512}" -entropic=0 -timeout=600 -print_final_stats=1 \
    -artifact_prefix="$new/" "$new" "tests/fuzz/corpus/$name" 2>"$new.log" || {
    tail -n 50 "$new.log"
    exit 1
  }
  made=$(sed -n 's/^stat::number_of_executed_units: *//p' "$new.log")
  echo $((before + made)) >"$built/runs-$name"
  echo "$name: $((before + made)) runs, $(sed -n 's/^stat::average_exec_per_sec: *//p' "$new.log") a second"
}

unfinished=1
while ((unfinished)); do
  unfinished=0
  for name in "${names[@]}"; do
    if (($(runs_of "$name") < wanted)); then
      unfinished=1
      run "$name"
    fi
  done
done
