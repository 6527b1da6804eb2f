# shellcheck shell=bash disable=SC2034
# The Debian packages the scripts need, in one place, and how they are installed. Sourced, not run.

# What a release binary is built from.
BUILD_PACKAGES=(cmake g++ libcli11-dev libevent-dev libevhtp-dev libssl-dev libyaml-cpp-dev
  ninja-build pkg-config zlib1g-dev)
# What a release binary needs to run.
RUN_PACKAGES=(libevent-2.1-7 libevent-core-2.1-7 libevent-extra-2.1-7 libevent-openssl-2.1-7
  libevhtp0 libssl3 libyaml-cpp0.7 zlib1g)
# What the quickstart shows: a real stream, served and fetched.
DEMO_PACKAGES=(curl ffmpeg python3)
# What the tests use beside these, and what only the browser tests use.
TEST_PACKAGES=(ffmpeg googletest libgtest-dev openssl python3)
BROWSER_PACKAGES=(ca-certificates chromium nodejs npm)

# Installs those of the named packages that are missing; asks apt only if there is one.
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
      echo "These packages are missing and neither root nor sudo is at hand: ${missing[*]}" >&2
      return 1
    }
    root=(sudo)
  fi
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    echo "apt-get update failed; trying with the package lists that are there." >&2
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null || {
    echo "apt-get could not install: ${missing[*]}" >&2
    return 1
  }
}

# A package counts as there if Debian says so, or if its command comes from elsewhere.
package_is_there() {
  case $1 in
    nodejs) command -v node >/dev/null ;;
    npm) command -v npm >/dev/null ;;
    *) [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]] ;;
  esac
}
