#!/usr/bin/env bash
# Installs the packages that the tests need, builds the ci preset and runs every test. --quick leaves
# out the browsers, the replay of the fuzz corpora and the quickstart.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

quick=0
case ${1:-} in
  '') ;;
  --quick) quick=1 ;;
  *)
    echo "usage: tests/run.sh [--quick]" >&2
    exit 2
    ;;
esac

packages=("${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${DEMO_PACKAGES[@]}")
((quick)) || packages+=("${BROWSER_PACKAGES[@]}")
install_packages "${packages[@]}"

if command -v ccache >/dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
players=ON  # npm is there unless --quick
((quick)) && players=OFF
cmake --preset ci -DSTREAMGATE_PAGE_PLAYERS=$players
cmake --build --preset ci

only=()
((quick)) && only=(--label-exclude '^(corpus|deploy)$'
  --exclude-regex '^clients\.(hls_js|libavformat|recipes|shaka|page_[a-z]+)$')
# Most functional tests wait more than they compute.
ctest --preset ci --parallel "$(($(nproc) + 1))" --no-tests=error "${only[@]}"
