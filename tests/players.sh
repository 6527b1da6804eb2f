#!/usr/bin/env bash
# Installs the players, builds Streamgate without sanitizers, and plays every stream with every player,
# directly and through the proxy (tests/players). Takes twenty minutes.
#
#   tests/players.sh [PLAYER...]    the classes of test_pairs.py: HlsJs, Vlc, ..
#   STREAMGATE_STREAMS=REGEX        only the streams whose names match
#   STREAMGATE_CHILD_URLS=path      hls.child_urls of the proxy
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${BROWSER_PACKAGES[@]}" \
  "${REAL_PLAYER_PACKAGES[@]}"
if command -v ccache >/dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
cmake --preset quick -B build/players -DSTREAMGATE_PLAYERS=ON
cmake --build build/players --target streamgate

wanted='^players$'
names=''
if (($#)); then
  names=$(IFS='|' && echo "^players\\.($*)\$")
fi
ctest --test-dir build/players --label-regex "$wanted" ${names:+--tests-regex "$names"} \
  --no-tests=error --output-on-failure
