#!/usr/bin/env bash
# Checks what deploy/release.sh has made: checksums, tarballs, symbols, bills of materials and Debian
# packages. On the machine that has made it, because it compares versions with the installed libraries.
#
#   tests/release/run.sh [DIRECTORY]    default: build/dist
# shellcheck disable=SC2317  # functions are called through `expect`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/packages.sh
dist=$(realpath "${1:-build/dist}")
install_packages binutils curl lintian openssl python3 xz-utils

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0 step=''
begin() {
  step=$1
  echo "== $step"
}
expect() { # WHAT COMMAND...
  local what=$1
  shift
  "$@" >"$work/output" 2>&1 && return
  failures=$((failures + 1))
  echo "FAILED ($step): $what"
  cat "$work/output"
}
refuse() { ! "$@"; }
build_id() { LC_ALL=C readelf -n "$1" | sed -n 's/.*Build ID: //p'; }
same() { [[ -n $1 && $1 == "$2" ]]; }
is_static() { ! LC_ALL=C readelf -ld "$1" | grep -q 'INTERP\|NEEDED'; }

version=$(sed -n 's/^project(streamgate VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
own=$(dpkg --print-architecture)

begin 'files'
for arch in amd64 arm64; do
  for end in tar.gz debug.xz cdx.json; do
    expect "there is a $end for $arch" [ -s "$dist/streamgate-$version-linux-$arch.$end" ]
  done
done
expect 'there is a package' [ -s "$dist/streamgate_${version}_$own.deb" ]
expect 'there are notes with the section of this version' [ -s "$dist/../dist-notes.md" ]
begin 'checksums'
expect 'they are right' bash -c 'cd "$1" && sha256sum --check --strict SHA256SUMS' - "$dist"
expect 'each file has one' diff <(ls "$dist" | sort) <(printf '%s\n' SHA256SUMS "$(sed 's/^[0-9a-f]*  //' \
  "$dist/SHA256SUMS")" | sort)

for arch in amd64 arm64; do
  name=streamgate-$version-linux-$arch
  begin "$name"
  tar -xzf "$dist/$name.tar.gz" -C "$work"
  expect 'it has one directory' [ "$(tar -tzf "$dist/$name.tar.gz" | cut -d/ -f1 | sort -u)" = "$name" ]
  expect 'its files belong to root' refuse grep -qv '^[^ ]* 0/0 ' <(tar --numeric-owner -tvzf "$dist/$name.tar.gz")
  expect 'the program is static' is_static "$work/$name/streamgate"
  xz -dc "$dist/$name.debug.xz" >"$work/debug"
  expect 'the symbols are those of the program' same "$(build_id "$work/$name/streamgate")" "$(build_id "$work/debug")"
  expect 'the program has none' refuse grep -q '\.debug_info' <(readelf -SW "$work/$name/streamgate")
  # In documents every path is one of the repository.
  while read -r path; do
    expect "README names $path" [ -e "$work/$name/$path" ]
  done < <(grep -ohE '\]\((conf|deploy)/[A-Za-z0-9_./-]+' "$work/$name/README.md" | sed 's/^](//' | sort -u)
  expect 'the bill of materials names each library with its version' python3 tests/release/sbom.py \
    "$dist/$name.cdx.json" "$version" \
    "${BUILD_PACKAGES[@]}" "${STATIC_PACKAGES[@]}"
done

begin 'the program of this architecture'
tree=$work/streamgate-$version-linux-$own
chmod 755 "$work"
expect 'it has the version' [ "$("$tree/streamgate" --version)" = "streamgate $version" ]
for name in playlist range page; do
  expect "it passes the functional test $name" env STREAMGATE_BINARY="$tree/streamgate" \
    STREAMGATE_BUILD="$work" python3 -B "tests/functional/test_$name.py"
done
expect 'its installer installs and verifies it' "$tree/deploy/install.sh" --prefix "$work/prefix" \
  --listen 127.0.0.1:8099
expect 'the page has its players' curl -sf -o /dev/null http://127.0.0.1:8099/page/players/hls.mjs
expect 'it is removed' "$tree/deploy/install.sh" --prefix "$work/prefix" --uninstall --purge
expect 'nothing is left' [ ! -e "$work/prefix" ]

begin 'the packages'
package=$dist/streamgate_${version}_$own.deb
symbols=$dist/streamgate-dbgsym_${version}_$own.deb
expect 'lintian finds nothing' lintian --fail-on error,warning --profile debian "$package" "$symbols"
dpkg-deb -x "$package" "$work/deb"
dpkg-deb -x "$symbols" "$work/ddeb"
id=$(build_id "$work/deb/usr/sbin/streamgate")
expect 'the symbols are those of the program' [ -s "$work/ddeb/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" ]
expect 'the package has the version' [ "$(dpkg-deb -f "$package" Version)" = "$version" ]

((failures == 0)) && echo 'All tests passed.'
exit $((failures > 0))
