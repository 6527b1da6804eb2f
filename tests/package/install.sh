#!/usr/bin/env bash
# Tests deploy/install.sh: as root with systemd or with the init script, and without root. It changes the
# machine, so run it as root on a throw-away one:
#
#   tests/package/install.sh PATH-OF-STATIC-STREAMGATE [PATH-OF-PACKAGE]
# shellcheck disable=SC2317  # functions are called through `expect`
set -euo pipefail
binary=$(realpath "${1:?usage: tests/package/install.sh PATH-OF-STATIC-STREAMGATE [PATH-OF-PACKAGE]}")
package=${2:+$(realpath "$2")}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/packages.sh

[[ $EUID == 0 ]] || {
  echo "This needs root." >&2
  exit 2
}
install_packages curl logrotate procps python3
rm -f /usr/sbin/policy-rc.d
booted=0
[[ ! -d /run/systemd/system ]] || booted=1
((booted)) || install -m 755 <(printf '#!/bin/sh\necho N 2\n') /sbin/runlevel

work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
failures=0 step=''
begin() {
  step=$1
  echo "== $step"
}
expect() { # WHAT COMMAND...
  local what=$1
  shift
  "$@" && return
  failures=$((failures + 1))
  echo "FAILED ($step): $what"
  cat "$work/output"
}
refuse() { ! "$@"; }
within() { # SECONDS COMMAND...: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}
install_it() { deploy/install.sh "$@" >"$work/output" 2>&1; }
serves() { curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$1/health"; }
says() { grep -qF -- "$1" "$work/output"; }
gone() { [[ -z $(pgrep '^streamgate') ]]; }
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path "$PWD" -o -path /root \
    -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log/journal \
    -o -path /var/log/apt -o -path /var/tmp -o -path /var/lib/systemd \) -prune -o -print | sort
  find /run /var/lib/systemd -name '*streamgate*'
  grep -l streamgate /etc/passwd /etc/group /etc/shadow /etc/gshadow || true
}
config=/etc/streamgate/streamgate.yaml

begin 'the command line'
expect 'an unknown option is refused' refuse install_it --colour red
expect 'a missing value is refused' refuse install_it --binary
expect 'a missing file is refused' refuse install_it --binary /none
expect 'help is printed' install_it --help
expect 'it is the usage' says usage:

begin 'the static program as a service'
files >"$work/before"
expect 'it is installed' install_it --binary "$binary" --listen 127.0.0.1:8090
expect 'it was verified' says 'http://127.0.0.1:8090 serves'
expect 'a stream request was tried' says 'refused, as expected'
expect 'it says what to open' says 'http://127.0.0.1:8090/stream?url='
expect 'the service answers' serves 8090
expect 'it says where the metrics are' says 'http://127.0.0.1:9090/'
expect 'the metrics are served' curl -sf -o /dev/null --max-time 5 http://127.0.0.1:9090/metrics
expect 'the manual page is installed' [ -s /usr/local/share/man/man8/streamgate.8 ]
expect 'the manual page of the file is installed' [ -s /usr/local/share/man/man5/streamgate.yaml.5 ]
expect 'the completion is installed' [ -s /usr/local/share/bash-completion/completions/streamgate ]
expect 'the workers are not root' [ "$(ps -o uid= -p "$(pgrep '^streamgate' | tail -n 1)" | tr -d ' ')" -gt 0 ]
if ((booted)); then
  expect 'the unit is enabled' systemctl is-enabled --quiet streamgate
else
  expect 'the init script is enabled' [ -n "$(find /etc/rc2.d -name 'S*streamgate')" ]
fi

begin 'a second run upgrades'
master=$(</run/streamgate/streamgate.pid)
printf '\n# edited\ndrain: {idle: 100ms, stop_timeout: 3s}\n' >>"$config"
expect 'it is installed' install_it --binary "$binary"
expect 'the edited configuration stays' grep -q '# edited' "$config"
expect 'the master is the same process' [ "$(</run/streamgate/streamgate.pid)" = "$master" ]
expect 'it was upgraded' grep -q upgrade.done /var/log/streamgate/error.log
expect 'the address stays' says 'http://127.0.0.1:8090 serves'

begin 'a wrong configuration'
cp "$config" "$work/kept"
echo 'colour: red' >>"$config"
expect 'it is refused' refuse install_it --binary "$binary"
expect 'the reason is printed' says colour
expect 'the service serves on' serves 8090
cp "$work/kept" "$config"

begin 'an address that another program uses'
python3 -m http.server --bind 127.0.0.1 8095 >/dev/null 2>&1 &
other=$!
expect 'the other program listens' within 10 curl -s -o /dev/null http://127.0.0.1:8095/
sed -i 's/^listen: .*/listen: 127.0.0.1:8095/' "$config"
expect 'the reload fails' refuse install_it --binary "$binary"
expect 'the reason is printed' says 'cannot listen on 127.0.0.1:8095'
expect 'the service serves on' serves 8090
kill "$other"
cp "$work/kept" "$config"

begin 'a program that does not run'
printf 'nonsense' >"$work/broken"
chmod 755 "$work/broken"
expect 'it is refused' refuse install_it --binary "$work/broken"
expect 'the service serves on' serves 8090
expect 'the program is the old one' cmp "$binary" /usr/local/sbin/streamgate

begin 'uninstall'
expect 'it is removed' install_it --uninstall
expect 'no process is left' gone
expect 'the configuration stays' [ -e "$config" ]
expect 'removing it again succeeds' install_it --uninstall
expect 'it is installed again' install_it --binary "$binary"
expect 'the edited configuration is in use' says 'http://127.0.0.1:8090 serves'
expect 'it is purged' install_it --uninstall --purge
expect 'no process is left' gone
files >"$work/after"
expect 'nothing is left' diff "$work/before" "$work/after"

if [[ -n $package ]]; then
  begin 'the package'
  expect 'it is installed' install_it --package "$package" --listen 127.0.0.1:8091
  expect 'it was verified' says 'http://127.0.0.1:8091 serves'
  expect 'it is installed again' install_it --package "$package"
  expect 'the address stays' says 'http://127.0.0.1:8091 serves'
  expect 'no other package is installed again' refuse grep -q '^Setting up [^s]' "$work/output"
  expect 'the static program is refused beside it' refuse install_it --binary "$binary"
  expect 'it is removed' install_it --uninstall
  expect 'no process is left' gone
  expect 'the configuration stays' [ -e "$config" ]
  expect 'removing it again succeeds' install_it --uninstall
  expect 'the other files in /etc stay' [ -e /etc/logrotate.d/streamgate ]
  expect 'the rest is purged' install_it --uninstall --purge
  files >"$work/after"
  expect 'nothing is left' refuse grep streamgate "$work/after"
  expect 'the user is gone' refuse getent passwd streamgate
  expect 'it is installed again' install_it --package "$package"
  expect 'it is purged' install_it --uninstall --purge
  expect 'no process is left' gone
  expect 'the configuration is gone' [ ! -e "$config" ]
fi

begin 'without root, in a directory'
useradd --create-home visitor
cp "$binary" "$work/streamgate"
chmod 755 "$work/streamgate"
cp -r deploy "$work/deploy"
chmod -R go+rX "$work/deploy"
as_visitor() { su visitor -c "cd / && $work/deploy/install.sh $*" >"$work/output" 2>&1; }
expect 'it is installed' as_visitor --binary "$work/streamgate" --listen 127.0.0.1:8092
expect 'it was verified' says 'http://127.0.0.1:8092 serves'
expect 'it is in ~/.local' [ -x ~visitor/.local/sbin/streamgate ]
expect 'the manual page too' [ -s ~visitor/.local/share/man/man8/streamgate.8 ]
expect 'it runs as the user' [ "$(ps -o user= -p "$(cat ~visitor/.local/var/run/streamgate.pid)")" = visitor ]
echo '# edited' >>~visitor/.local/etc/streamgate/streamgate.yaml
expect 'a second run upgrades' as_visitor --binary "$work/streamgate"
expect 'the edited configuration stays' grep -q '# edited' ~visitor/.local/etc/streamgate/streamgate.yaml
expect 'a prefix of its own' as_visitor --prefix /home/visitor/here --binary "$work/streamgate" --listen 127.0.0.1:8093
expect 'both serve' serves 8092
expect 'both serve' serves 8093
expect 'one is purged' as_visitor --uninstall --purge --prefix /home/visitor/here
expect 'its directory is gone' [ ! -e /home/visitor/here ]
expect 'the other one serves' serves 8092
expect 'the other one is purged' as_visitor --uninstall --purge
expect 'no process is left' within 10 gone
expect 'no file is left' [ ! -e ~visitor/.local ]

((failures == 0)) && echo 'All tests passed.'
exit $((failures > 0))
