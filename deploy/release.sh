#!/usr/bin/env bash
# Makes everything of a release in build/dist: static tarballs, Debian packages, bill of materials,
# checksums. On Debian 12, or in its container.
#
#   deploy/release.sh [TAG]    TAG must be `v` followed by the version in CMakeLists.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^project(streamgate VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
[[ -z ${1:-} || $1 == "v$version" ]] || {
  echo "release: the tag is $1, but CMakeLists.txt has version $version." >&2
  exit 1
}
grep -q "^## $version " CHANGELOG.md || {
  echo "release: CHANGELOG.md has no section $version." >&2
  exit 1
}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
dist=$PWD/build/dist
rm -rf "$dist"
mkdir -p "$dist"

# The program beside the files that the documents name, with their paths in the repository.
make_tarball() { # ARCH
  local name=streamgate-$version-linux-$1 tree
  tree=$(mktemp -d)
  mkdir -p "$tree/$name/deploy" "$tree/$name/conf"
  cp README.md README.zh-CN.md CHANGELOG.md LICENSE "$tree/$name"
  cp conf/streamgate.yaml "$tree/$name/conf"
  cp -r deploy/{OPERATIONS.md,RECIPES.md,install.sh,streamgate.service,streamgate.socket,streamgate.yaml} \
    deploy/{completion,default,init.d,logrotate,man,monitoring,sysusers.d} "$tree/$name/deploy"
  rm -f "$tree/$name"/deploy/man/*.py
  install -m 755 "build/static-$1/streamgate" "$tree/$name/streamgate"
  tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w --mtime="@$SOURCE_DATE_EPOCH" \
    -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
  xz -2 -c "build/static-$1/streamgate.debug" >"$dist/$name.debug.xz"
  rm -rf "$tree"
  deploy/sbom.py "$version" "build/static-$1/program" >"$dist/$name.cdx.json"
}

for arch in amd64 arm64; do
  deploy/build-static.sh --arch "$arch"
  make_tarball "$arch"
done
deploy/build-deb.sh
cp build/deb/*.deb "$dist"
(cd "$dist" && sha256sum -- * >SHA256SUMS)
# The section of this version, for the page of the release.
awk -v version="$version" '/^## / { on = ($2 == version); next } on' CHANGELOG.md >build/dist-notes.md
ls -l "$dist"
