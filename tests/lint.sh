#!/usr/bin/env bash
# Static checks: the format of C++, shell scripts, includes and documented events. With --tidy also
# clang-tidy on every source file (some minutes on two cores).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

tidy=0
case ${1:-} in
  '') ;;
  --tidy) tidy=1 ;;
  *)
    echo "usage: tests/lint.sh [--tidy]" >&2
    exit 2
    ;;
esac
install_packages "${LINT_PACKAGES[@]}"

mapfile -t sources < <(find common master worker tests \( -name '*.cc' -o -name '*.h' \) | sort)
clang-format --dry-run -Werror "${sources[@]}"
mapfile -t scripts < <(grep -rlE --exclude-dir=node_modules '^#!/(bin/sh|usr/bin/env bash)' deploy tests |
  sort)
shellcheck -x --severity=warning "${scripts[@]}" deploy/packages.sh
python3 tests/architecture/include_directions.py .
python3 tests/architecture/documented_events.py .
if ((tidy)); then
  install_packages "${BUILD_PACKAGES[@]}"
  cmake --preset quick -B build/tidy -DCMAKE_CXX_COMPILER=clang++ -DSTREAMGATE_PCH=OFF \
    -DSTREAMGATE_TESTS=OFF >/dev/null
  mapfile -t program < <(find common master worker -name '*.cc' | sort)
  printf '%s\0' "${program[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet -p build/tidy
fi
echo 'No problems.'
