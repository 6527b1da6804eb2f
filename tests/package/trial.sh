#!/usr/bin/env bash
# The first days of an operator, by the words of README.md and deploy/OPERATIONS.md: one command installs,
# a stream plays, a mistake in the file is refused, Prometheus reads the metrics, a bad upstream is
# explained, the package is upgraded under load, and removed without a trace. Each command must be in one
# of the documents. It changes the machine, so run it as root on a throw-away one that systemd has booted:
#
#   tests/package/trial.sh    needs the package in build/deb, as deploy/build-deb.sh makes it
# shellcheck disable=SC2317  # functions are called through `expect`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/packages.sh
. tests/package/repack.sh

[[ $EUID == 0 && -d /run/systemd/system ]] || {
  echo "This needs root on a machine that systemd has booted." >&2
  exit 2
}
package=$(realpath build/deb/streamgate_*_"$(dpkg --print-architecture)".deb)
install_packages curl prometheus python3
rm -f /usr/sbin/policy-rc.d
systemctl disable --quiet --now prometheus 2>/dev/null || true

config=/etc/streamgate/streamgate.yaml
origin=http://127.0.0.1:9000
work=$(mktemp -d)
touch "$work/output"
helpers=()
finish() {
  local pid
  for pid in "${helpers[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
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
status() { # STATUS COMMAND...
  local got=0
  "${@:2}" || got=$?
  [[ $got == "$1" ]]
}
within() { # SECONDS COMMAND...: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}
says() { grep -qE -- "$1" "$work/output"; }
# Runs a command of a document, with other addresses in place of its examples.
follow() { # DOCUMENT COMMAND [OLD NEW]...
  local document=$1 command=$2
  grep -qF -- "$command" "$document" || {
    echo "$document does not have: $command" >"$work/output"
    return 99
  }
  shift 2
  while (($#)); do
    command=${command//"$1"/"$2"}
    shift 2
  done
  bash -euo pipefail -c "$command" >"$work/output" 2>&1
}
readme() { follow README.md "$@"; }
manual() { follow deploy/OPERATIONS.md "$@"; }
reload() { manual 'systemctl reload streamgate'; }
main_pid() { cat /run/streamgate/streamgate.pid; }
# Everything that has the name: files with it, and what names it in the records of dpkg and systemd and
# in the lists of users. Their previous states are kept as FILE-old and FILE-.
traces() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path "$PWD" -o -path /root \
    -o -path /var/tmp \) -prune -o -iname '*streamgate*' -print
  find /run -iname '*streamgate*'
  grep -rIl streamgate /etc /run /usr/lib/sysusers.d /var/lib/dpkg /var/lib/systemd |
    grep -vE -- '-(old)?$' || true
  dpkg-query -W streamgate 2>/dev/null || true
  pgrep -a '^streamgate' || true
}

begin 'install by one command'
traces >"$work/before"
expect 'nothing is there before' [ ! -s "$work/before" ]
expect 'it is installed and verified' readme 'deploy/install.sh'
expect 'it was verified by a request' says 'GET /stream of an address of this machine: refused'
expect 'it says what to open' says 'Open in a browser: http://127.0.0.1:8080/'
expect 'it says where the state is' says 'Metrics and state: http://127.0.0.1:9090/'
expect 'the service is enabled' systemctl is-enabled --quiet streamgate
expect 'the page is there' grep -q '<title>Streamgate' <(curl -s http://127.0.0.1:8080/)
expect 'the state is shown' manual 'systemctl status streamgate'
expect 'with its manual' says 'man:streamgate\(8\)'

begin 'the first stream'
mkdir -p "$work/origin/live"
printf '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n' >"$work/origin/live/index.m3u8"
head -c 200000 /dev/urandom >"$work/origin/live/a.ts"
python3 -m http.server -d "$work/origin" --bind 127.0.0.1 9000 >/dev/null 2>&1 &
helpers+=($!)
expect 'the origin serves' within 10 curl -s -o /dev/null "$origin/"
get="curl 'http://localhost:8080/stream?url=https%3A%2F%2Fexample.com%2Flive%2Findex.m3u8'"
to_origin=(https%3A%2F%2Fexample.com http%3A%2F%2F127.0.0.1%3A9000)
expect 'a private upstream is refused' readme "$get" "${to_origin[@]}"
expect 'the error names the key that allows it' says 'target_forbidden.*security\.allow_private'
# The lines of README's example.
sed -n '/^security:$/,/allow_private/p' README.md >>"$config"
expect 'the file names the origin' grep -q 'allow_private: \[127.0.0.1:9000\]' "$config"
expect 'the file is checked' manual 'streamgate --check -c FILE' FILE "$config"
expect 'it is reloaded' reload
expect 'the playlist arrives' readme "$get" "${to_origin[@]}"
expect 'its links lead through the proxy' says '^http://localhost:8080/stream\?url='
link=$(grep '^http' "$work/output" || true)
expect 'the segment arrives whole' cmp -s "$work/origin/live/a.ts" <(curl -s "$link")

begin 'a wrong edit'
cp "$config" "$work/kept"
before=$(main_pid)
echo 'colour: red' >>"$config"
expect 'the check finds it' refuse manual 'streamgate --check -c FILE' FILE "$config"
lines=$(wc -l <"$config")
expect 'it names key and line' says "streamgate.yaml:$lines: .*colour"
expect 'the reload fails' refuse reload
journal_says() { manual 'journalctl -u streamgate' && says "$1"; }
expect 'the journal has the reason' within 5 journal_says "streamgate.yaml:$lines: .*colour"
expect 'the stream plays on' readme "$get" "${to_origin[@]}"
expect 'its links lead through the proxy' says '^http://localhost:8080/stream\?url='
cp "$work/kept" "$config"
expect 'the next reload succeeds' reload
expect 'the master is the same process' [ "$(main_pid)" = "$before" ]

begin 'metrics in Prometheus'
# Prometheus has the port of the manual here.
sed -i 's/listen: 127.0.0.1:9090/listen: 127.0.0.1:9091/' "$config"
expect 'it is reloaded' reload
{
  echo 'global: {scrape_interval: 1s, evaluation_interval: 1s}'
  echo 'rule_files: [/usr/share/doc/streamgate/examples/monitoring/streamgate-alerts.yaml]'
  sed -n '/^    scrape_configs:$/,/^$/s/^    //p' deploy/OPERATIONS.md | sed 's/:9090/:9091/'
} >"$work/prometheus.yml"
expect 'promtool accepts the lines of the manual' promtool check config "$work/prometheus.yml"
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
  --web.listen-address=127.0.0.1:9090 >"$work/prometheus.log" 2>&1 &
helpers+=($!)
ask() { # EXPRESSION: the value of its only series
  curl -s -G http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1" | python3 -c '
import json, sys
(series,) = json.load(sys.stdin)["data"]["result"]
print(series["value"][1])' 2>/dev/null
}
has_value() { [[ $(ask "$1") == "$2" ]]; }
between() { # LOW EXPRESSION HIGH
  ask "$2" >"$work/output"
  python3 -c 'import sys; sys.exit(not float(sys.argv[1]) <= float(sys.argv[2]) <= float(sys.argv[3]))' \
    "$1" "$(<"$work/output")" "$3"
}
counter=streamgate_exchanges_started_total
load() { for ((i = 0; i < 20; i++)); do readme "$get" "${to_origin[@]}"; done; }
expect 'it is scraped' within 60 has_value up 1
first=$(ask "$counter")
load
expect 'requests are counted' within 20 has_value "$counter" "$((first + 20))"
systemctl restart streamgate
expect 'a restart begins at 0' within 20 has_value "$counter" 0
load
expect 'requests are counted' within 20 has_value "$counter" 20
expect 'the restart is a reset' has_value "resets(${counter}[5m])" 1
# Prometheus extrapolates at both ends, by up to a third in this short time.
expect 'no request is missing and none is counted twice' between 40 "increase(${counter}[5m])" 59
expect 'quantiles are numbers' between 0 \
  "histogram_quantile(0.9, sum by (le) (rate(streamgate_exchange_duration_seconds_bucket[5m])))" 10
expect 'no alert fires' has_value 'count(ALERTS{alertstate="firing"}) or vector(0)' 0

begin 'a bad upstream is explained'
explain="streamgate explain -c $config 'https://upstream.example/live/index.m3u8'"
expect 'a good one plays' manual "$explain" https://upstream.example "$origin"
expect 'a missing page is the upstream' status 1 manual "$explain" https://upstream.example/live "$origin/none"
expect 'it says 404' says 404
expect 'a private address is refused' status 2 manual "$explain" https://upstream.example http://127.0.0.1:9002
expect 'it names the key' says allow_private
expect 'the running service explains too' manual \
  "curl http://127.0.0.1:9090/explain --data-urlencode 'url=https://upstream.example/live/index.m3u8' -d 'h_User-Agent=VLC%2F3.0'" \
  :9090 :9091 https://upstream.example/live "$origin/none"
expect 'it says what the command says' says '"verdict": *"upstream_problem"'

kill "${helpers[0]}"
expect 'a closed port is the upstream' within 10 status 1 manual "$explain" https://upstream.example "$origin"
expect 'it says that nothing listens' says 'refused'

begin 'upgrade by package under load'
version=$(dpkg-query -W -f '${Version}' streamgate)
new=${version%?}8
repack "$package" "$new" "$work/streamgate_$new.deb"
before=$(main_pid)
mkfifo "$work/end"
python3 tests/package/viewers.py 127.0.0.1:8080 100 <"$work/end" >"$work/viewers" &
viewers=$!
exec 7>"$work/end"
expect 'the viewers watch' within 60 grep -q watching "$work/viewers"
expect 'the package is upgraded' readme 'deploy/install.sh' deploy/install.sh \
  "deploy/install.sh --package $work/streamgate_$new.deb"
expect 'it has the new version' [ "$(dpkg-query -W -f '${Version}' streamgate)" = "$new" ]
expect 'its program serves' cmp "/proc/$before/exe" /usr/sbin/streamgate
expect 'the master is the same process' [ "$(main_pid)" = "$before" ]
expect 'the edited configuration stays' grep -q allow_private "$config"
exec 7>&-
expect 'no stream and no request failed' wait "$viewers"
cat "$work/viewers"

begin 'removal'
removal() { manual "$1" --uninstall "deploy/install.sh --uninstall"; }
expect 'it is removed' removal --uninstall
expect 'no process is left' refuse pgrep '^streamgate'
expect 'the configuration stays' [ -e "$config" ]
expect 'it is purged' removal '--uninstall --purge'
traces >"$work/output"
expect 'nothing is left' [ ! -s "$work/output" ]

((failures == 0)) && echo 'All tests passed.'
exit $((failures > 0))
