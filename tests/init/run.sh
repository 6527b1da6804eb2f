#!/usr/bin/env bash
# Tests the init script and the logrotate file on a machine without systemd. It installs both, so run
# it as root on a throw-away machine:
#
#   tests/init/run.sh PATH-OF-STREAMGATE
# shellcheck disable=SC2317  # functions are called through `expect`
set -euo pipefail
binary=$(realpath "${1:?usage: tests/init/run.sh PATH-OF-STREAMGATE}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/packages.sh

[[ $EUID == 0 ]] || {
  echo "This needs root." >&2
  exit 2
}
install_packages "${RUN_PACKAGES[@]}" curl logrotate procps

config=/etc/streamgate/streamgate.yaml
service=/etc/init.d/streamgate
failures=0 step=''
begin() {
  step=$1
  echo "== $step"
}
expect() { # STATUS COMMAND...
  local wanted=$1 got=0
  shift
  "$@" || got=$?
  ((got == wanted)) && return
  failures=$((failures + 1))
  echo "FAILED ($step): exit status $got instead of $wanted: $*"
}
serves() { curl -s -o /dev/null --max-time 5 "http://127.0.0.1:${1:-8080}/health"; }
configure() {
  printf '%s\n' 'pid_file: /run/streamgate/streamgate.pid' 'workers: 2' \
    'drain: {idle: 100ms, stop_timeout: 3s}' \
    'log: {access: off, error: /var/log/streamgate/error.log}' "$@" >"$config"
}

install -m 755 "$binary" /usr/local/sbin/streamgate
install -D -m 644 deploy/streamgate.yaml "$config"
install -m 755 deploy/init.d/streamgate "$service"
install -m 644 deploy/logrotate/streamgate /etc/logrotate.d/streamgate

begin 'before the start'
expect 3 "$service" status
expect 0 "$service" stop
expect 7 "$service" reload
expect 2 "$service" dance
expect 0 "$service" configtest

begin 'start'
echo 'STREAMGATE_WORKERS=3' >/etc/default/streamgate
expect 0 "$service" start
expect 0 serves
expect 0 [ "$(pgrep -c -P "$(cat /run/streamgate/streamgate.pid)")" = 3 ]
expect 0 "$service" status
expect 0 "$service" start # LSB: starting a running service succeeds
expect 0 [ "$(pgrep -c -P 1 -x streamgate)" = 1 ]
expect 0 [ "$(stat -c %U /var/log/streamgate/access.log)" = streamgate ]

begin 'reload'
configure 'listen: 127.0.0.1:8081'
expect 0 "$service" reload
expect 0 serves 8081
expect 0 "$service" force-reload
configure 'colour: red'
expect 1 "$service" reload
expect 1 "$service" configtest
expect 6 "$service" restart # the running service stays
expect 0 serves 8081
configure 'listen: 127.0.0.1:8082'

begin 'upgrade'
before=$(cat /run/streamgate/streamgate.pid)
install -m 755 "$binary" /usr/local/sbin/streamgate.new
mv /usr/local/sbin/streamgate.new /usr/local/sbin/streamgate
configure 'listen: 127.0.0.1:8081'
expect 0 "$service" status
expect 0 "$service" reload
expect 0 [ "$(cat /run/streamgate/streamgate.pid)" = "$before" ]
expect 0 [ "/proc/$before/exe" -ef /usr/local/sbin/streamgate ]
expect 0 serves 8081
configure 'listen: 127.0.0.1:8082'

begin 'rotation'
expect 0 logrotate --force /etc/logrotate.d/streamgate
expect 0 [ -e /var/log/streamgate/error.log.1 ]
expect 0 grep -q log.reopened /var/log/streamgate/error.log

begin 'restart'
rm /etc/default/streamgate
before=$(cat /run/streamgate/streamgate.pid)
expect 0 "$service" restart
expect 0 [ "$(cat /run/streamgate/streamgate.pid)" != "$before" ]
expect 0 serves 8082

begin 'the master was killed'
victim=$(cat /run/streamgate/streamgate.pid)
kill -KILL "$victim"
for _ in {1..50}; do # a dead process has no /proc/PID/exe, reaped or not
  readlink "/proc/$victim/exe" >/dev/null || break
  sleep 0.1
done
expect 1 "$service" status
expect 0 "$service" start
expect 0 serves 8082

begin 'stop'
expect 0 "$service" stop
expect 3 "$service" status
expect 1 pgrep streamgate
expect 0 [ -z "$(ls /run/streamgate)" ]

begin 'a start that fails'
configure 'listen: 192.0.2.1:80'
expect 1 "$service" start

((failures == 0)) && echo 'All tests passed.'
exit $((failures > 0))
