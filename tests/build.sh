#!/usr/bin/env bash
# Builds the program without a warning, with one of the compilers:
#
#   tests/build.sh gcc|clang    into build/gcc or build/clang
#   tests/build.sh variants     into build/quick: the program and its variants for functional tests
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

case ${1:-} in
  gcc)
    install_packages "${BUILD_PACKAGES[@]}"
    cmake --preset release -B build/gcc -DSTREAMGATE_WERROR=ON
    cmake --build build/gcc --target streamgate
    ;;
  clang)
    install_packages "${BUILD_PACKAGES[@]}" clang lld
    # Without link-time optimisation: Debian's clang has its plug-in for the linker in another package.
    cmake --preset release -B build/clang -DSTREAMGATE_WERROR=ON -DCMAKE_CXX_COMPILER=clang++ \
      -DCMAKE_C_COMPILER=clang -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF
    cmake --build build/clang --target streamgate
    ;;
  variants)
    install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    cmake --preset quick
    cmake --build --preset quick --target streamgate streamgate_next streamgate_faulty streamgate_recording \
      streamgate_poisoned
    ;;
  *)
    echo "usage: tests/build.sh gcc|clang|variants" >&2
    exit 2
    ;;
esac
