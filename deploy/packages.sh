# shellcheck shell=bash disable=SC2034
# The Debian packages that the scripts need, and their installation. Sourced, not run.

# To build a release binary.
BUILD_PACKAGES=(cmake g++ libbrotli-dev libc-ares-dev libcli11-dev libevent-dev libevhtp-dev libexpat1-dev libidn2-dev
  libpsl-dev libseccomp-dev libssl-dev libyaml-cpp-dev libzstd-dev ninja-build nlohmann-json3-dev pkg-config zlib1g-dev)
# To run a release binary.
RUN_PACKAGES=(libbrotli1 libc-ares2 libevent-2.1-7 libevent-core-2.1-7 libevent-extra-2.1-7
  libevent-openssl-2.1-7 libevhtp0 libexpat1 libidn2-0 libpsl5 libseccomp2 libssl3 libyaml-cpp0.7 libzstd1 zlib1g)
# In addition, for the players in the page of a release.
PLAYER_PACKAGES=(ca-certificates nodejs npm)
# In addition, for a program without shared libraries (build-static.sh).
STATIC_PACKAGES=(binutils dpkg-dev libunistring-dev python3)
# In addition, for the Debian package (build-deb.sh).
PACKAGING_PACKAGES=(dpkg-dev file lintian)
# For tests/lint.sh.
LINT_PACKAGES=(clang-format clang-tidy python3 shellcheck)
# For the quickstart's demonstration.
DEMO_PACKAGES=(curl ffmpeg python3)
# In addition, for the tests, and for the browser tests only.
TEST_PACKAGES=(caddy ffmpeg googletest haproxy libgtest-dev nginx openssl php-cli prometheus
  python3 python3-cryptography python3-jwt python3-yaml)
BROWSER_PACKAGES=(ca-certificates chromium firefox-esr nodejs npm)
# In addition, for tests/players.sh.
REAL_PLAYER_PACKAGES=(gstreamer1.0-libav gstreamer1.0-plugins-bad gstreamer1.0-plugins-base-apps
  gstreamer1.0-plugins-good mpv vlc-bin vlc-plugin-base)

# The packages whose static libraries build-static.sh links, without libevhtp, which it builds.
linked_packages() {
  local package
  for package in "${BUILD_PACKAGES[@]}" "${STATIC_PACKAGES[@]}"; do
    case $package in
      libevhtp-dev | libcli11-dev) ;;  # the other one: headers only
      lib*-dev | zlib1g-dev) echo "$package" ;;
    esac
  done
}

# Installs the named packages that are missing. Calls apt only if there is one.
install_packages() {
  local package missing=()
  for package in "$@"; do
    package_is_there "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "Installing: ${missing[*]}"
  local root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "These packages are missing, and installing them needs root or sudo: ${missing[*]}" >&2
      return 1
    }
    root=(sudo)
  fi
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    echo "apt-get update failed; trying with the present package lists." >&2
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${missing[@]}" | show_last_line || {
    echo "apt-get could not install: ${missing[*]}" >&2
    return 1
  }
}

# On a terminal, shows the last line of its input in place; otherwise shows nothing.
show_last_line() {
  local line width
  if [[ ! -t 2 ]]; then
    cat >/dev/null
    return
  fi
  width=$(tput cols 2>/dev/null) || width=80
  while IFS= read -r line; do printf '\r\033[K%.*s' "$width" "$line" >&2; done
  printf '\r\033[K' >&2
}

# nodejs and npm may come from another source, so their commands count. Other packages must be installed.
package_is_there() {
  case $1 in
    nodejs) command -v node >/dev/null ;;
    npm) command -v npm >/dev/null ;;
    *) dpkg-query -W -f '${Architecture} ${db:Status-Status}\n' "$1" 2>/dev/null |
      grep -qxE "(all|$(dpkg --print-architecture)) installed" ;;
  esac
}
