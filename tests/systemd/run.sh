#!/usr/bin/env bash
# Tests that need a real systemd: readiness, reloads, crashes, the watchdog, socket activation and
# stops as `systemctl` sees them. It installs Streamgate as a service and kills its processes, so run it
# as root on a throw-away machine that systemd has booted:
#
#   tests/systemd/run.sh PATH-OF-STREAMGATE
# shellcheck disable=SC2317  # functions are called through `expect`
set -euo pipefail
binary=$(realpath "${1:?usage: tests/systemd/run.sh PATH-OF-STREAMGATE}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/packages.sh

[[ $EUID == 0 && -d /run/systemd/system ]] || {
  echo "This needs root on a machine that systemd has booted." >&2
  exit 2
}
install_packages "${RUN_PACKAGES[@]}" curl procps

config=/etc/streamgate/streamgate.yaml
failures=0 step=''
begin() {
  step=$1
  echo "== $step"
}
# Reports a failed expectation and continues, so that one run shows all failures.
expect() { # WHAT COMMAND...
  local what=$1
  shift
  "$@" && return
  failures=$((failures + 1))
  echo "FAILED ($step): $what"
  # For the report only: the exit status of `systemctl status` is not 0 for a stopped unit.
  systemctl --no-pager status streamgate.service || true
  journalctl --no-pager -n 20 -u streamgate.service || true
}
within() { # SECONDS COMMAND...: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}
property() { systemctl show -P "$1" streamgate.service; }
is() { [[ $(property "$1") == "$2" ]]; }
says() { [[ $(property StatusText) == *"$1"* ]]; }
serves() { curl -s -o /dev/null --max-time 5 "http://127.0.0.1:${1:-8080}/health"; }
silent() { ! serves "$@"; }
# Not a pipe: the program would fail if grep ended before it has written everything.
status_has() { grep -q -- "$1" <(streamgate -c "$config" -s status); }
workers() { pgrep -P "$(property MainPID)"; }
configure() {
  printf '%s\n' 'pid_file: /run/streamgate/streamgate.pid' 'workers: 2' \
    'drain: {idle: 100ms, stop_timeout: 3s}' "$@" >"$config"
}
another() { # COMMAND OLD: COMMAND prints another pid than OLD
  local now
  now=$($1) && [[ -n $now && $now != "$2" ]]
}
logged() { # PATTERN [OPTION-OF-JOURNALCTL...]
  local pattern=$1
  shift
  grep -q -- "$pattern" <(journalctl --no-pager -u streamgate.service "$@")
}
main_pid() { property MainPID; }
two_workers() { [[ $(workers | wc -l) == 2 ]]; }

begin 'install'
install -m 755 "$binary" /usr/local/sbin/streamgate
install -D -m 644 deploy/streamgate.yaml "$config"
systemd-sysusers "$PWD/deploy/sysusers.d/streamgate.conf"
install -m 644 deploy/streamgate.service deploy/streamgate.socket /etc/systemd/system/
systemctl daemon-reload
exposure=$(systemd-analyze security --no-pager streamgate.service | sed -n 's/.*level for .*: \([0-9.]*\) .*/\1/p')
echo "exposure: $exposure"
expect 'the exposure is below 2.0' [ "${exposure%.*}" -lt 2 ]

begin 'start with the configuration of deploy/'
echo 'STREAMGATE_WORKERS=3' >/etc/default/streamgate
expect 'systemctl start succeeds' systemctl start streamgate
expect 'the unit is active' is ActiveState active
expect 'the service answers' serves
expect 'the status line names the generation' says 'serving, generation 1:'
expect 'the log file is written' [ -s /var/log/streamgate/error.log ]
expect 'the workers are not root' [ "$(ps -o uid= -p "$(workers | head -n 1)")" -gt 0 ]
expect 'a variable of /etc/default/streamgate is used' [ "$(workers | wc -l)" = 3 ]
rm /etc/default/streamgate
systemctl restart streamgate

begin 'reload of a valid configuration'
configure 'listen: 127.0.0.1:8081'
expect 'systemctl reload succeeds' systemctl reload streamgate
expect 'the new address serves' serves 8081
expect 'the old address does not serve' within 5 silent 8080
expect 'the status line has the outcome' says 'last reload ok'
expect 'the unit is active' is ActiveState active

begin 'reload of an invalid configuration'
before=$(main_pid)
configure 'colour: red'
if systemctl reload streamgate 2>/dev/null; then expect 'systemctl reload fails' false; fi
expect 'the reason is in the status' says 'colour'
expect 'journalctl -p err shows it' within 5 logged 'config.problem.*colour' -p err
expect 'the service still answers' serves 8081
expect 'the unit is active' is ActiveState active
expect 'the master is the same process' is MainPID "$before"
configure 'listen: 127.0.0.1:8081'
kill -HUP "$before"
expect 'a HUP without systemctl reloads too' within 10 status_has 'reload sequence=3 .*result=ok'

begin 'upgrade'
before=$(main_pid)
# A file with the same content counts as another program.
install -m 755 "$binary" /usr/local/sbin/streamgate.new
mv /usr/local/sbin/streamgate.new /usr/local/sbin/streamgate
expect 'systemctl reload succeeds' systemctl reload streamgate
expect 'the new program runs' within 5 logged upgrade.done
expect 'the master is the same process' is MainPID "$before"
expect 'the master runs the new file' [ "/proc/$before/exe" -ef /usr/local/sbin/streamgate ]
expect 'the unit is active' is ActiveState active
expect 'the status line has the outcome' says 'last reload ok'
expect 'the service answers' serves 8081
expect 'systemd has not restarted the service' is NRestarts 0
printf '#!/bin/sh\n' >/usr/local/sbin/streamgate.new
chmod 755 /usr/local/sbin/streamgate.new
mv /usr/local/sbin/streamgate.new /usr/local/sbin/streamgate
kill -HUP "$before"
expect 'a file that is not a program is rejected' within 15 says 'is not a program'
expect 'the master is the same process' is MainPID "$before"
expect 'the service still answers' serves 8081
install -m 755 "$binary" /usr/local/sbin/streamgate.new
mv /usr/local/sbin/streamgate.new /usr/local/sbin/streamgate
expect 'systemctl reload succeeds' systemctl reload streamgate

begin 'a port below 1024'
configure 'listen: 127.0.0.1:80'
expect 'systemctl reload succeeds' systemctl reload streamgate
expect 'port 80 serves' serves 80

begin 'a worker crashes'
victim=$(workers | head -n 1)
kill -SEGV "$victim"
first_worker_gone() { ! kill -0 "$victim" 2>/dev/null && two_workers; }
expect 'the worker is replaced' within 5 first_worker_gone
expect 'the service answers' serves 80
expect 'systemd has not restarted the service' is NRestarts 0

begin 'the master hangs: the watchdog restarts the service'
before=$(main_pid)
kill -STOP "$before"
expect 'a new master runs' within 40 another main_pid "$before"
expect 'the service answers' within 10 serves 80
expect 'systemd has restarted the service once' is NRestarts 1

begin 'the master is killed'
before=$(main_pid)
kill -KILL "$before"
expect 'a new master runs' within 10 another main_pid "$before"
expect 'the service answers' within 10 serves 80
expect 'two workers run' within 10 two_workers
only_the_new_ones() { (($(pgrep -c streamgate) == 3)); }
expect 'the workers of the old master have exited' within 10 only_the_new_ones

begin 'stop'
expect 'systemctl stop succeeds' systemctl stop streamgate
expect 'the unit is inactive, not failed' is ActiveState inactive
expect 'no process is left' [ -z "$(pgrep streamgate)" ]
expect 'no file is left' [ ! -e /run/streamgate ]

begin 'a start that cannot succeed'
configure 'colour: red'
if systemctl start streamgate 2>/dev/null; then expect 'systemctl start fails' false; fi
systemctl stop streamgate
# Fails if systemd has already unloaded the unit.
systemctl reset-failed streamgate 2>/dev/null || true

begin 'socket activation'
configure 'listen: 127.0.0.1:8085'
expect 'the sockets are bound' systemctl start streamgate.socket
expect 'a client starts the service and is served' serves 8080
# The first worker serves before the last one is ready.
expect 'the unit is active' within 10 is ActiveState active
expect 'the service answers over IPv6' curl -s -o /dev/null --max-time 5 'http://[::1]:8080/health'
expect 'listen is ignored' silent 8085
expect 'reload succeeds' systemctl reload streamgate
install -m 755 "$binary" /usr/local/sbin/streamgate.new
mv /usr/local/sbin/streamgate.new /usr/local/sbin/streamgate
expect 'an upgrade succeeds' systemctl reload streamgate
expect 'the service answers' serves 8080
expect 'systemctl stop succeeds' systemctl stop streamgate
expect 'the next client starts the service again' serves 8080
systemctl stop streamgate.socket streamgate.service

((failures == 0)) && echo 'All tests passed.'
exit $((failures > 0))
