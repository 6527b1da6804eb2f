#!/usr/bin/env bash
# Builds the Debian packages (program and debug symbols) into build/deb, from the files and with the version
# of the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

install_packages "${BUILD_PACKAGES[@]}" "${PACKAGING_PACKAGES[@]}" "${PLAYER_PACKAGES[@]}"
# The packages carry the time of the last commit, so that two builds of it have the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
umask 022
cmake --preset deb >/dev/null
cmake --build --preset deb
rm -f build/deb/*.deb build/deb/*.ddeb
(cd build/deb && cpack >cpack.log) || {
  cat build/deb/cpack.log >&2
  exit 1
}
lintian --fail-on error,warning --profile debian build/deb/*.deb
ls -l build/deb/*.deb build/deb/*.ddeb
