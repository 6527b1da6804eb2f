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

# CPack's package of the symbols has the path of the build in its checksums and no copyright, and apt
# takes no file that ends in .ddeb.
finish_symbols() { # FILE.ddeb
  local tree
  tree=$(mktemp -d)
  dpkg-deb -R "$1" "$tree"
  chmod 755 "$tree"
  find "$tree/usr/lib/debug" -type f -exec chmod 644 {} +
  mkdir -p "$tree/usr/share/doc"
  ln -s streamgate "$tree/usr/share/doc/streamgate-dbgsym"
  sed -i '/^Package-Type:/d' "$tree/DEBIAN/control"
  (cd "$tree" && find usr -type f -exec md5sum {} + >DEBIAN/md5sums)
  dpkg-deb --root-owner-group -b "$tree" "${1%.ddeb}.deb" >/dev/null
  rm -r "$tree" "$1"
}
for symbols in build/deb/*.ddeb; do finish_symbols "$symbols"; done
lintian --fail-on error,warning --profile debian build/deb/*.deb
ls -l build/deb/*.deb
