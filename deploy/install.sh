#!/bin/sh
# Installs Streamgate on any Linux with systemd or an init script, or without root into a directory, and
# verifies with requests that it serves.
set -eu

usage() {
  cat <<'TEXT'
usage: deploy/install.sh [--package FILE | --binary FILE] [--prefix DIR] [--listen ADDRESS]
       deploy/install.sh --uninstall [--purge] [--prefix DIR]

Installs, writes a configuration, starts the service and verifies that it serves. If it is run again, it
upgrades: the service is reloaded, no stream is cut, and an existing configuration stays as it is.

  --package FILE    a .deb of Streamgate (default on Debian 12: one beside this script or in build/deb)
  --binary FILE     the program (default: streamgate beside this script or one directory above, or one in
                    build/; else it is built here)
  --prefix DIR      everything in this directory, without a user, a unit or an init script.
                    Without root the default is ~/.local
  --listen ADDRESS  for a new configuration (default 127.0.0.1:8080)
  --uninstall       stop and remove; --purge removes configuration and logs too
  --help            print this text
TEXT
}
say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

here=$(cd "$(dirname "$0")" && pwd)
package='' binary='' prefix='' listen=127.0.0.1:8080 uninstall=0 purge=0
while [ $# -gt 0 ]; do
  case $1 in
    --package | --binary | --prefix | --listen)
      [ -n "${2:-}" ] || fail "$1 needs a value."
      case $1 in
        --package) package=$2 ;;
        --binary) binary=$2 ;;
        --prefix) prefix=$2 ;;
        --listen) listen=$2 ;;
      esac
      shift
      ;;
    --uninstall) uninstall=1 ;;
    --purge) purge=1 ;;
    --help | -h)
      usage
      exit 0
      ;;
    *)
      usage >&2
      fail "unknown option $1"
      ;;
  esac
  shift
done

for file in "$package" "$binary"; do
  [ -z "$file" ] || [ -r "$file" ] || fail "cannot read $file."
done
if [ "$(id -u)" != 0 ] && [ -z "$prefix" ]; then
  prefix=$HOME/.local
fi
if [ -n "$prefix" ]; then
  mkdir -p "$prefix"
  prefix=$(cd "$prefix" && pwd)
  program=$prefix/sbin/streamgate config=$prefix/etc/streamgate/streamgate.yaml
  run=$prefix/var/run logs=$prefix/var/log/streamgate share=$prefix/share manager=none
else
  program=/usr/local/sbin/streamgate config=/etc/streamgate/streamgate.yaml
  run=/run/streamgate logs=/var/log/streamgate share=/usr/local/share
  if [ -d /run/systemd/system ]; then
    manager=systemd
  elif [ -d /etc/init.d ] && has start-stop-daemon; then
    manager=init
  else
    fail "there is neither systemd nor an init with start-stop-daemon; use --prefix."
  fi
fi
# `installed`, or `config-files` if the package was removed and not purged.
package_status() { # [NAME]
  [ -n "$prefix" ] || ! has dpkg-query ||
    dpkg-query -W -f '${db:Status-Status}' "${1:-streamgate}" 2>/dev/null || true
}
packaged() { [ "$(package_status)" = installed ]; }
! packaged || program=/usr/sbin/streamgate

# Manual pages and completion; the package has its own.
manuals="man/man8/streamgate.8 man/man5/streamgate.yaml.5"
completion=bash-completion/completions/streamgate
put_documents() {
  # In a directory, this script and the program are enough.
  [ -d "$here/man" ] || return 0
  for page in $manuals; do
    mkdir -p "$share/${page%/*}"
    cp "$here/man/${page##*/}" "$share/$page"
  done
  mkdir -p "$share/${completion%/*}"
  cp "$here/completion/streamgate.bash" "$share/$completion"
}
remove_documents() {
  for file in $manuals $completion; do
    rm -f "$share/$file"
    # Directories with other files stay.
    rmdir "$share/${file%/*}" 2>/dev/null || true
  done
  rmdir "$share/bash-completion" 2>/dev/null || true
}

remove() {
  if packaged; then
    if [ $purge = 1 ]; then dpkg -P streamgate; else dpkg -r streamgate; fi
    return
  fi
  # Only the files of the package in /etc are there. They must stay until it is purged: a new installation
  # does not restore those that are missing.
  if [ "$(package_status)" = config-files ] && [ ! -e "$program" ]; then
    [ $purge = 0 ] || dpkg -P streamgate
    return
  fi
  case $manager in
    systemd)
      systemctl disable --quiet --now streamgate.socket streamgate.service 2>/dev/null || true
      rm -f /etc/systemd/system/streamgate.service /etc/systemd/system/streamgate.socket
      systemctl daemon-reload
      ;;
    init)
      [ ! -x /etc/init.d/streamgate ] || /etc/init.d/streamgate stop
      rm -f /etc/init.d/streamgate
      if has update-rc.d; then
        update-rc.d streamgate remove
      elif has chkconfig; then
        chkconfig --del streamgate
      fi
      ;;
    # The exit status 3 means that the service does not run.
    none) [ ! -x "$program" ] || [ ! -r "$config" ] || "$program" -c "$config" -s stop || [ $? = 3 ] ;;
  esac
  rm -f "$program"
  remove_documents
  if [ "$manager" != none ]; then
    rm -f /etc/logrotate.d/streamgate /usr/lib/sysusers.d/streamgate.conf
    # From an earlier package, or from start_systemd.
    [ $purge = 0 ] || rm -f /etc/default/streamgate
  fi
  rm -rf "$run"
  [ $purge = 1 ] || return 0
  [ "$(package_status)" != config-files ] || dpkg -P streamgate
  rm -f "$config"
  rm -rf "$logs"
  rmdir "$(dirname "$config")" 2>/dev/null || echo "$(dirname "$config") has other files and stays."
  if [ "$manager" = none ]; then
    for directory in sbin etc var/log var share/man share; do
      rmdir "$prefix/$directory" 2>/dev/null || true
    done
    rmdir "$prefix" 2>/dev/null || true
  elif has userdel; then
    userdel streamgate 2>/dev/null || true
  fi
}

if [ $uninstall = 1 ]; then
  say "Removing Streamgate"
  remove
  [ $purge = 1 ] || [ ! -e "$config" ] || echo "The configuration stays: $config (--purge removes it)."
  exit 0
fi

# The first file of the arguments that exists.
first() {
  for file in "$@"; do
    if [ -e "$file" ]; then
      echo "$file"
      return
    fi
  done
}
machine=$(uname -m)
case $machine in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$machine ;;
esac

is_bookworm() { has dpkg && grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; }
# The package is for Debian 12. A machine that has the static program keeps that form.
if [ -z "$package$binary$prefix" ] && is_bookworm && [ ! -e /usr/local/sbin/streamgate ]; then
  package=$(first "$here"/streamgate_*_"$arch".deb "$here"/../build/deb/streamgate_*_"$arch".deb)
fi
if [ -z "$package$binary" ]; then
  binary=$(first "$here/streamgate" "$here/../streamgate" "$here/../build/static-$arch/streamgate" \
    "$here/../build/release/streamgate")
fi
if [ -z "$package$binary" ]; then
  if [ ! -e "$here/build-static.sh" ] || ! has apt-get; then
    fail "there is no program beside this script. Download a release, or name a file with --binary."
  fi
  say "Building the program (some minutes)"
  "$here/build-static.sh" || fail "the build failed; see above."
  binary=$here/../build/static-$arch/streamgate
fi
[ -z "$package" ] || [ -z "$prefix" ] || fail "--package cannot be installed into a prefix; use --binary."

# Replaces the file by a rename: the file of a running program cannot be overwritten.
put_program() {
  mkdir -p "$(dirname "$program")"
  cp "$binary" "$program.new"
  chmod 755 "$program.new"
  mv "$program.new" "$program"
  echo "$program: $version"
}

create_user() {
  if has systemd-sysusers; then
    mkdir -p /usr/lib/sysusers.d
    cp "$here/sysusers.d/streamgate.conf" /usr/lib/sysusers.d/streamgate.conf
    systemd-sysusers streamgate.conf
  elif ! grep -q '^streamgate:' /etc/passwd; then
    useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin streamgate
  fi
}

write_config() {
  if [ -e "$config" ]; then
    echo "$config exists and stays as it is."
    return
  fi
  mkdir -p "$(dirname "$config")"
  if [ "$manager" = none ]; then
    cat >"$config" <<TEXT
# See the manual, conf/streamgate.yaml, for every key. After a change:
#   $program -c $config -s reload
listen: $listen
pid_file: $run/streamgate.pid
page:
  enabled: true
log:
  access: $logs/access.log
  error: $logs/error.log
TEXT
  else
    sed "s|^listen: .*|listen: $listen|" "$here/streamgate.yaml" >"$config"
  fi
  chmod 644 "$config"
  echo "$config: listens on $listen"
}

# Each reloads the service if it runs, and starts it otherwise.
start_systemd() {
  [ -e /etc/default/streamgate ] || cp "$here/default/streamgate" /etc/default/streamgate
  cp "$here/streamgate.service" /etc/systemd/system/streamgate.service
  systemctl daemon-reload
  systemctl enable --quiet streamgate.service
  if systemctl is-active --quiet streamgate.service; then
    systemctl reload streamgate.service
  else
    systemctl start streamgate.service
  fi
}
start_init() {
  cp "$here/init.d/streamgate" /etc/init.d/streamgate
  chmod 755 /etc/init.d/streamgate
  if has update-rc.d; then
    update-rc.d streamgate defaults
  elif has chkconfig; then
    chkconfig --add streamgate
  fi
  if /etc/init.d/streamgate status >/dev/null 2>&1; then
    /etc/init.d/streamgate reload
  else
    /etc/init.d/streamgate start
  fi
}
start_alone() {
  mkdir -p "$run" "$logs"
  if "$program" -c "$config" -s status >/dev/null 2>&1; then
    "$program" -c "$config" -s reload
    return
  fi
  "$program" -c "$config" --check
  if has setsid; then
    setsid "$program" -c "$config" >"$logs/start.log" 2>&1 </dev/null &
  else
    nohup "$program" -c "$config" >"$logs/start.log" 2>&1 </dev/null &
  fi
}

# The last errors of the program.
show_reason() {
  if [ "$manager" = systemd ]; then
    journalctl -q -u streamgate.service -t streamgate -p err -n 2 -o cat --no-pager || true
  fi >&2
  [ ! -e "$logs/start.log" ] || tail -n 5 "$logs/start.log" >&2
}

if [ -n "$package" ]; then
  say "Installing the package $package"
  [ "$(id -u)" = 0 ] || fail "installing a package needs root."
  program=/usr/sbin/streamgate
  # The package starts the service, so the address of --listen must be in the file before that.
  if [ "$listen" != 127.0.0.1:8080 ]; then write_config; fi
  package=$(cd "$(dirname "$package")" && pwd)/$(basename "$package")
  if has apt-get; then
    apt-get update -qq || echo "apt-get update failed; trying with the present package lists." >&2
    # With the packages that it recommends and that are missing, and without those that they recommend.
    recommended=''
    for name in ca-certificates logrotate; do
      [ "$(package_status "$name")" = installed ] || recommended="$recommended $name"
    done
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --reinstall \
      --allow-downgrades -o Dpkg::Options::=--force-confold "$package" $recommended
  else
    dpkg -i --force-confold "$package"
  fi
else
  packaged && fail "the Debian package is installed; upgrade it with --package, or remove it first."
  say "Installing the program"
  version=$("$binary" --version) || fail "$binary does not run on this machine."
  [ "$manager" = none ] || create_user
  write_config
  # Its notes are about directories that the start makes.
  checked=$("$binary" --check -c "$config" 2>&1) || {
    printf '%s\n' "$checked" >&2
    fail "the configuration has mistakes; see above. Nothing was changed."
  }
  printf '%s\n' "$checked" | grep 'warning: ' >&2 || true
  put_program
  put_documents
  if [ "$manager" != none ] && [ -d /etc/logrotate.d ]; then
    cp "$here/logrotate/streamgate" /etc/logrotate.d/streamgate
  fi
  say "Starting the service"
  case $manager in
    systemd) start_systemd ;;
    init) start_init ;;
    none) start_alone ;;
  esac || {
    show_reason
    fail "the service did not start or reload; see above and $logs."
  }
fi

say "Verifying"
tenths=0
until asked=$("$program" healthcheck -c "$config" 2>/dev/null); do
  tenths=$((tenths + 1))
  if [ $tenths -gt 100 ]; then
    "$program" healthcheck -c "$config" || true
    show_reason
    fail "the service does not answer; see above and $logs."
  fi
  sleep 0.1
done
echo "GET /health: $asked"
address=${asked% serves}
case $address in
  http://*) address=${address#http://} ;;
  *) address='' ;;
esac
# The proxy refuses to fetch from this machine. The refusal shows that requests reach its guard.
stream="http://$address/stream?url=http%3A%2F%2F127.0.0.1%3A1%2F"
answer=''
if [ -n "$address" ]; then
  if has curl; then
    answer=$(curl -s --noproxy '*' --max-time 10 "$stream") || true
  elif has wget; then
    answer=$(no_proxy='*' wget -q -T 10 --content-on-error -O - "$stream" 2>/dev/null) || true
  fi
fi
case $answer in
  *target_forbidden*) echo "GET /stream of an address of this machine: refused, as expected" ;;
  '{'*) echo "GET /stream: $answer" ;;
  *) echo "GET /stream was not tried: no plain listener, or neither curl nor wget." ;;
esac

# The first address of admin.listen that is not a Unix socket.
admin=$("$program" -c "$config" --print-config 2>/dev/null |
  sed -n '/^admin:/,/^[a-z]/s/^  listen: \[*"*\([^],"]*:[0-9]*\).*/\1/p')

say "Streamgate serves"
[ -z "$address" ] || cat <<TEXT
Open in a browser: http://$address/   (unless page.enabled is false)
Open in a player:  http://$address/stream?url=PERCENT-ENCODED-URL
    curl "http://$address/stream?url=https%3A%2F%2Fexample.com%2Flive%2Findex.m3u8"
TEXT
[ -z "$admin" ] || echo "Metrics and state: http://$admin/   (for Prometheus: /metrics)"
echo "Configuration:     $config"
echo "Logs:              $logs"
if [ "$manager" = systemd ]; then
  echo "After a change:    systemctl reload streamgate   (never restart: it cuts streams)"
elif [ "$manager" = init ]; then
  echo "After a change:    service streamgate reload     (never restart: it cuts streams)"
else
  echo "After a change:    $program -c $config -s reload"
  echo "To stop:           $program -c $config -s stop"
  echo "To start:          setsid $program -c $config   (for each boot: @reboot in your crontab)"
fi
