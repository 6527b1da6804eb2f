#!/usr/bin/env bash
# Builds Streamgate as one file that needs no shared library: position-independent, hardened, stripped.
# Debian has static libraries for everything but libevhtp, which is built here from Debian's source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

usage() {
  cat <<'TEXT'
usage: deploy/build-static.sh [--arch amd64|arm64] [--output DIR]

Writes DIR/streamgate and its symbols, DIR/streamgate.debug.

  --arch ARCH   the architecture of the program (default: that of this machine). For another one the
                script installs its compiler. Its libraries are unpacked in the build directory.
  --output DIR  default: build/static-ARCH
  --help        print this text
TEXT
}
fail() {
  echo "build-static: $*" >&2
  exit 1
}

arch='' output=''
while (($#)); do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --arch | --output)
      [[ -n ${2:-} ]] || fail "$1 needs a value."
      if [[ $1 == --arch ]]; then arch=$2; else output=$2; fi
      shift
      ;;
    *)
      usage >&2
      fail "unknown option $1"
      ;;
  esac
  shift
done

max_bytes=$((12 * 1024 * 1024))
install_packages "${BUILD_PACKAGES[@]}" "${STATIC_PACKAGES[@]}" "${PLAYER_PACKAGES[@]}" || fail "packages are missing; see above."
own=$(dpkg --print-architecture)
arch=${arch:-$own}
case $arch in
  amd64) triplet=x86_64-linux-gnu processor=x86_64 ;;
  arm64) triplet=aarch64-linux-gnu processor=aarch64 ;;
  *) fail "unknown architecture $arch" ;;
esac
build=$PWD/build/static-$arch
output=${output:-$build}
mkdir -p "$build" "$output"

tools='' cross=() libraries=''
if [[ $arch != "$own" ]]; then
  tools=$triplet-
  install_packages "crossbuild-essential-$arch" || fail "the compiler for $arch is missing; see above."
fi

# apt-get with the repository's lists of sources (deb-src) or of packages of another architecture (deb),
# checked against the archive's signature. The lists are private, so that the machine's own need
# neither.
with_lists() { # KIND ARCH COMMAND...
  local lists=$build/apt-$1 options kind=$1
  options=(-q -o Dir::Etc::SourceList="$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$lists/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root -o APT::Architecture="$2" -o APT::Architectures="$2")
  shift 2
  rm -rf "$lists"
  mkdir -p "$lists/lists/partial"
  apt-get indextargets --format "$kind "'$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    grep -F debian | sort -u >"$lists/sources.list"
  apt-get "${options[@]}" update >"$lists/log" 2>&1 && apt-get "${options[@]}" "$@" >>"$lists/log" 2>&1 || {
    cat "$lists/log" >&2
    fail "apt-get could not fetch: $*"
  }
}

fetch_source() { # PACKAGE DIRECTORY
  rm -rf "$2"
  mkdir -p "$2"
  (cd "$2" && with_lists deb-src "$own" source --download-only --tar-only "$1")
  tar -xf "$2"/*.orig.tar.* -C "$2" --strip-components=1
}

# The libraries of another architecture. They are not installed: two packages of them (libevent-dev,
# libyaml-cpp-dev) would remove those of this machine.
fetch_libraries() { # DIRECTORY PACKAGE...
  local directory=$1 package
  shift
  rm -rf "$directory"
  mkdir -p "$directory/packages"
  (cd "$directory/packages" && with_lists deb "$arch" download libc6-dev "$@")
  for package in "$directory"/packages/*.deb; do
    case $package in
      # The cross compiler has the headers, but a C library without Debian's later fixes.
      */libc6-dev_*) dpkg-deb --fsys-tarfile "$package" | tar -C "$directory" -x --wildcards '*.[ao]' ;;
      *) dpkg-deb -x "$package" "$directory" ;;
    esac
  done
  sed -i "s|=/usr|=$directory/usr|" "$directory/usr/lib/$triplet/pkgconfig"/*.pc
}

if [[ $arch != "$own" ]]; then
  libraries=$build/libraries
  if [[ ! -e $libraries/complete ]]; then
    mapfile -t packages < <(linked_packages)
    fetch_libraries "$libraries" "${packages[@]}"
    touch "$libraries/complete"
  fi
  includes="-isystem $libraries/usr/include/$triplet -isystem $libraries/usr/include"
  cross=(-DCMAKE_SYSTEM_NAME=Linux "-DCMAKE_SYSTEM_PROCESSOR=$processor"
    "-DCMAKE_C_COMPILER=${tools}gcc" "-DCMAKE_CXX_COMPILER=${tools}g++"
    "-DCMAKE_FIND_ROOT_PATH=$libraries" "-DCMAKE_C_FLAGS=$includes" "-DCMAKE_CXX_FLAGS=$includes"
    "-DCMAKE_EXE_LINKER_FLAGS=-B$libraries/usr/lib/$triplet")
fi
# pkg-config searches the libraries of the architecture only; the first directory has our evhtp.pc.
export PKG_CONFIG_LIBDIR=$build/lib/pkgconfig:$libraries/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig

if [[ ! -e $build/lib/pkgconfig/evhtp.pc ]]; then
  fetch_source libevhtp "$build/libevhtp"
  echo "Building libevhtp without its regular expressions, which Streamgate does not use"
  cmake -S "$build/libevhtp" -B "$build/libevhtp/out" -G Ninja "${cross[@]}" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_FLAGS="${includes:-} -O2 -g -fstack-protector-strong -w" -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DBUILD_SHARED_LIBS=OFF -DEVHTP_DISABLE_REGEX=ON -DEVHTP_DISABLE_EVTHR=ON \
    -DCMAKE_INSTALL_PREFIX="$build" -DLIB_INSTALL_DIR="$build/lib" -DINCLUDE_INSTALL_DIR="$build/include" \
    >"$build/libevhtp.log" 2>&1 &&
    cmake --build "$build/libevhtp/out" --target evhtp >>"$build/libevhtp.log" 2>&1 &&
    cmake --install "$build/libevhtp/out" >>"$build/libevhtp.log" 2>&1 || {
    cat "$build/libevhtp.log" >&2
    fail "libevhtp could not be built."
  }
  # parser.h needs size_t, which it otherwise gets from the header of the regular expressions.
  sed -i '1i #include <stddef.h>' "$build/include/evhtp/parser.h"
  # The headers of this build, also as <evhtp/evhtp.h>: the options above change their structures.
  sed -i "s|^Cflags:.*|Cflags: -I$build/include -I$build/include/evhtp|" "$build/lib/pkgconfig/evhtp.pc"
fi

cmake --preset static -B "$build/program" "${cross[@]}" >"$build/configure.log" || {
  cat "$build/configure.log" >&2
  fail "CMake could not configure the build."
}
cmake --build "$build/program" --target streamgate

program=$build/program/streamgate
"${tools}objcopy" --only-keep-debug "$program" "$output/streamgate.debug"
# A new file, then a rename: the old program may be running.
"${tools}strip" -o "$output/streamgate.new" "$program"
(cd "$output" && "${tools}objcopy" --add-gnu-debuglink=streamgate.debug streamgate.new)
mv "$output/streamgate.new" "$output/streamgate"

headers=$(LC_ALL=C "${tools}readelf" -hld "$output/streamgate")
grep -q 'Type: *DYN' <<<"$headers" || fail "the program is not position-independent."
! grep -q 'INTERP\|NEEDED' <<<"$headers" || fail "the program needs a shared library or a loader."
bytes=$(stat -c %s "$output/streamgate")
((bytes <= max_bytes)) || fail "the program has $bytes bytes; the limit is $max_bytes."
echo "$output/streamgate: $arch, $bytes bytes"
