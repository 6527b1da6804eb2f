#!/usr/bin/env bash
# Tests the Debian package: installation, upgrade under load, a refused upgrade, removal and purge. It
# changes the machine, so run it as root on a throw-away one, booted by systemd or without it:
#
#   tests/package/run.sh PATH-OF-PACKAGE
# shellcheck disable=SC2317  # functions are called through `expect`
set -euo pipefail
package=$(realpath "${1:?usage: tests/package/run.sh PATH-OF-PACKAGE}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/packages.sh
. tests/package/repack.sh

[[ $EUID == 0 ]] || {
  echo "This needs root." >&2
  exit 2
}
install_packages "${RUN_PACKAGES[@]}" bash-completion curl logrotate lsb-base man-db procps python3
booted=0
[[ ! -d /run/systemd/system ]] || booted=1
if ((booted)); then
  install_packages needrestart
  # On an overlay file system, the device of every mapped file differs from that of the file.
  echo "\$nrconf{skip_mapfiles} = 1;" >/etc/needrestart/conf.d/overlay.conf
fi
# An installation starts services only if no policy forbids it, as in containers.
rm -f /usr/sbin/policy-rc.d
# invoke-rc.d starts nothing on a machine whose init it cannot ask for the runlevel.
((booted)) || install -m 755 <(printf '#!/bin/sh\necho N 2\n') /sbin/runlevel

config=/etc/streamgate/streamgate.yaml
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
  "$@" && return
  failures=$((failures + 1))
  echo "FAILED ($step): $what"
  # For the report only.
  ((!booted)) || journalctl --no-pager -n 20 -u streamgate.service || true
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
serves() { curl -s -o /dev/null --max-time 5 http://127.0.0.1:8080/health; }
# Not a pipe: the program would fail if grep ended before it has written everything.
status_has() { grep -q -- "$1" <(streamgate -c "$config" -s status); }
installed_version() { dpkg-query -W -f '${Version}' streamgate; }
main_pid() { cat /run/streamgate/streamgate.pid; }
install_package() { DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold "$1" >"$work/dpkg.log" 2>&1; }
gone() { [[ -z $(pgrep '^streamgate') ]]; }
# The text of the version need not be in the program as one text.
runs_installed() { cmp -s "/proc/$(main_pid)/exe" /usr/sbin/streamgate && status_has 'state=serving'; }
generation() { streamgate -c "$config" -s status | sed -n '1s/.* generation=\([0-9]*\) .*/\1/p'; }
# Without systemd, needrestart does not recognise services in every container.
run_needrestart() {
  if ((booted)); then
    needrestart -r a -l >"$work/needrestart.log" 2>&1 && grep -q 'streamgate' "$work/needrestart.log"
  else
    /etc/needrestart/restart.d/streamgate
  fi
}
restarts() { ((!booted)) || systemctl show -P NRestarts streamgate.service; }

files() { # Everything that a package may leave; not the records and caches of dpkg, man and the journal.
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path "$PWD" -o -path /root \
    -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log/journal \
    -o -path /var/log/apt -o -path /var/tmp -o -path /var/lib/systemd \) -prune -o -print | sort
  find /run -name '*streamgate*'
  find /var/lib/systemd -name '*streamgate*'
  grep -l streamgate /etc/passwd /etc/group /etc/shadow /etc/gshadow || true
}

begin 'install'
files >"$work/before"
expect 'the package is installed' install_package "$package"
expect 'the service answers' within 10 serves
expect 'an order without a file finds it' grep -q 'state=serving' <(streamgate -s status)
expect 'it listens on loopback only' refuse curl -s -o /dev/null --max-time 2 \
  "http://$(hostname -I | tr ' ' '\n' | head -n 1):8080/health"
expect 'the admin listener serves metrics' grep -q '^streamgate_ready 1$' \
  <(curl -s --max-time 5 http://127.0.0.1:9090/metrics)
expect 'the page is served' grep -q '<title>' <(curl -s --max-time 5 http://127.0.0.1:8080/)
expect 'it has the players' curl -sf -o /dev/null --max-time 5 http://127.0.0.1:8080/page/players/hls.mjs
expect 'the metrics are served on loopback only' refuse curl -s -o /dev/null --max-time 2 \
  "http://$(hostname -I | tr ' ' '\n' | head -n 1):9090/metrics"
for file in README.md.gz OPERATIONS.md.gz RECIPES.md.gz CHANGELOG.md.gz examples/streamgate.yaml \
  examples/monitoring/streamgate-alerts.yaml examples/monitoring/streamgate-dashboard.json; do
  expect "$file is installed" [ -s "/usr/share/doc/streamgate/$file" ]
done
expect 'the workers have their own user' \
  [ "$(ps -o uid= -p "$(pgrep '^streamgate' | tail -n 1)" | tr -d ' ')" = "$(id -u streamgate)" ]
expect 'the configuration is a conffile' grep -qx "$config" <(dpkg-query -W -f '${Conffiles}' streamgate |
  sed -n 's/^ \([^ ]*\) .*/\1/p')
expect 'the manual page is found' man -w streamgate
if ((booted)); then
  expect 'the unit is enabled' systemctl is-enabled --quiet streamgate.service
  expect 'the unit names its documentation' grep -q 'man:streamgate(8)' <(systemctl status streamgate)
  expect 'systemd finds no mistake in the units' systemd-analyze verify streamgate.service streamgate.socket
fi
expect 'a word of the command line is completed' [ "$(bash -c '. /usr/share/bash-completion/bash_completion
  _completion_loader streamgate; COMP_WORDS=(streamgate -s rel) COMP_CWORD=2; _streamgate streamgate rel -s
  echo "${COMPREPLY[*]}"')" = reload ]

begin 'an address that another program uses'
dpkg -P streamgate >/dev/null
python3 -m http.server --bind 127.0.0.1 9090 >/dev/null 2>&1 &
other=$!
expect 'the other program listens' within 10 curl -s -o /dev/null http://127.0.0.1:9090/
expect 'the package is installed all the same' install_package "$package"
((!booted)) || expect 'the reason is printed' grep -q 'cannot listen on 127.0.0.1:9090' "$work/dpkg.log"
kill "$other"
wait "$other" || true
if ((booted)); then
  systemctl reset-failed streamgate.service
  systemctl start streamgate.service
else
  service streamgate start >/dev/null
fi
expect 'the service answers' within 10 serves

begin 'upgrade under load'
version=$(installed_version)
repack "$package" "${version%?}8" "$work/${version%?}8.deb"
printf '%s\n' 'listen: 127.0.0.1:8080' 'pid_file: /run/streamgate/streamgate.pid' 'workers: 2' \
  'user: streamgate' 'security: {allow_private: ["127.0.0.1:9000"]}' \
  'log: {error: /var/log/streamgate/error.log, access: /var/log/streamgate/access.log}' >"$config"
expect 'the edited configuration is accepted' streamgate -c "$config" -s reload
before=$(main_pid) restarts_before=$(restarts) generation_before=$(generation)
mkfifo "$work/end"
python3 tests/package/viewers.py 127.0.0.1:8080 200 <"$work/end" >"$work/viewers" &
viewers=$!
exec 7>"$work/end"
expect 'the viewers watch' within 30 grep -q watching "$work/viewers"
library=$(realpath "$(ldd /usr/sbin/streamgate | sed -n 's/.*libyaml-cpp.* => \([^ ]*\) .*/\1/p')")
cp -p "$library" "$library.new"
mv "$library.new" "$library"
expect 'the running service uses a replaced library' grep -q 'yaml-cpp.*(deleted)' "/proc/$before/maps"
expect 'needrestart finds it' run_needrestart
expect 'it was reloaded' [ "$(generation)" = "$((generation_before + 1))" ]
expect 'it has loaded the new library' refuse grep -q 'yaml-cpp.*(deleted)' "/proc/$before/maps"
expect 'the master is the same process' [ "$(main_pid)" = "$before" ]
expect 'the draining workers use the old library' grep -q 'yaml-cpp.*(deleted)' /proc/[0-9]*/maps
expect 'needrestart finds it again' run_needrestart
expect 'it was not reloaded again' [ "$(generation)" = "$((generation_before + 1))" ]
expect 'the package is upgraded' install_package "$work/${version%?}8.deb"
expect 'the new version serves' runs_installed
expect 'the old workers serve their streams' status_has 'state=draining'
expect 'the master is the same process' [ "$(main_pid)" = "$before" ]
expect 'systemd has not restarted the service' [ "$(restarts)" = "$restarts_before" ]
expect 'the edited configuration stays' grep -q 'allow_private' "$config"
expect 'the package is upgraded again' install_package "$package"
expect 'the first version serves again' runs_installed
exec 7>&-
expect 'no stream and no request failed' wait "$viewers"
cat "$work/viewers"

begin 'an upgrade that the service refuses'
repack "$package" "${version%?}7" "$work/${version%?}7.deb" "printf 'not a program' >usr/sbin/streamgate"
expect 'the package is installed all the same' install_package "$work/${version%?}7.deb"
expect 'its output says so' grep -q 'was not upgraded' "$work/dpkg.log"
expect 'the old program serves on' serves
expect 'the master is the same process' [ "$(main_pid)" = "$before" ]
expect 'the next upgrade succeeds' install_package "$work/${version%?}8.deb"
expect 'its version serves' runs_installed

begin 'a service that the administrator has stopped and disabled'
if ((booted)); then
  systemctl disable --quiet --now streamgate.service
  expect 'the package is upgraded' install_package "$package"
  expect 'the service is not started' gone
  expect 'the unit stays disabled' refuse systemctl is-enabled --quiet streamgate.service
  systemctl enable --quiet --now streamgate.service
else
  service streamgate stop >/dev/null
  expect 'the package is upgraded' install_package "$package"
  expect 'the service is not started' gone
  service streamgate start >/dev/null
fi
expect 'the service answers' within 10 serves

begin 'logrotate, while the configuration is wrong'
cp "$config" "$work/kept"
echo 'listen: [' >"$config"
expect 'the rotation succeeds' logrotate --force --state "$work/rotated" /etc/logrotate.d/streamgate
expect 'the old log is kept' [ -s /var/log/streamgate/error.log.1 ]
expect 'the service writes to a new log' within 10 [ -e /var/log/streamgate/error.log ]
cp "$work/kept" "$config"

begin 'removal'
expect 'the package is removed' dpkg -r streamgate
expect 'no process is left' gone
expect 'the configuration stays' [ -e "$config" ]
expect 'it is installed again' install_package "$package"
expect 'the service answers' within 10 serves
expect 'the edited configuration is in use' grep -q allow_private "$config"

begin 'purge'
expect 'the package is purged' dpkg -P streamgate
expect 'no process is left' gone
files >"$work/after"
expect 'nothing is left' diff "$work/before" "$work/after"

((failures == 0)) && echo 'All tests passed.'
exit $((failures > 0))
