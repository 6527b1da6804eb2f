#!/usr/bin/env bash
# Installs packages and builds on a bare Debian 12, then plays a stream through the proxy. The only
# network access is to the package mirror.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

usage() {
  cat <<'EOF'
usage: deploy/quickstart.sh [--port N] [--exit]

Installs the packages that are missing, builds Streamgate, and plays a sample stream through it.
The proxy then serves on 127.0.0.1 until Ctrl-C.

  --port N   the proxy's port (default 8080; 0: a free port)
  --exit     stop after the demonstration
  --help     print this text
EOF
}
say() { printf '\n== %s\n' "$*"; }
fail() {
  printf '\nquickstart: %s\n' "$*" >&2
  exit 1
}

port=8080 stay=1
while (($#)); do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --exit) stay=0 ;;
    --port)
      [[ ${2:-} =~ ^[0-9]{1,5}$ ]] || fail "--port needs a number from 0 to 65535."
      port=$((10#$2))
      ((port < 65536)) || fail "--port needs a number from 0 to 65535."
      shift
      ;;
    *)
      usage >&2
      fail "unknown option $1"
      ;;
  esac
  shift
done

# Everything that can be checked before the first package is installed.
if ((port != 0)); then
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "port $port is in use; choose another one with --port."
  fi
  if ((EUID != 0 && port < $(</proc/sys/net/ipv4/ip_unprivileged_port_start))); then
    fail "port $port needs root; choose another one with --port."
  fi
fi
[[ -w . ]] || fail "$PWD is not writable, and the build needs a directory in it."
# shellcheck source=/dev/null
. /etc/os-release
[[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]] ||
  echo "Tested on Debian 12 only; this system is ${PRETTY_NAME:-unknown}."

work=$(mktemp -d)
proxy='' origin='' follow=''
finish() {
  trap - EXIT INT TERM
  local pid
  # Each of them may have ended already.
  for pid in $follow $origin $proxy; do kill "$pid" 2>/dev/null || true; done
  [[ -z $proxy ]] || wait "$proxy" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
# Ctrl-C is the normal end of this script.
trap 'echo; echo "Stopping."; exit 0' INT TERM

say "Installing the packages that the build and the demonstration need"
install_packages "${BUILD_PACKAGES[@]}" "${DEMO_PACKAGES[@]}" ||
  fail "the packages could not be installed; see above."

say "Building (about a minute on two cores)"
cmake --preset quickstart >"$work/configure.log" 2>&1 || {
  cat "$work/configure.log" >&2
  fail "CMake could not configure the build; see above."
}
# ninja shows its progress: finished/total steps, seconds.
NINJA_STATUS='[%f/%t, %es] ' cmake --build --preset quickstart || fail "the build failed; see above."
binary=build/quickstart/streamgate
"$binary" --version

# All requests below stay on this machine, so a proxy that the environment names must not see them.
export no_proxy='*' NO_PROXY='*'

say "Making a sample stream: 20 seconds of a test picture and a tone, as HLS"
mkdir "$work/stream"
ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=640x360:rate=25:duration=20 \
  -f lavfi -i sine=frequency=440:sample_rate=44100:duration=20 \
  -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -c:a aac -b:a 96k \
  -f hls -hls_time 4 -hls_list_size 0 -hls_playlist_type vod \
  -hls_segment_filename "$work/stream/segment-%d.ts" "$work/stream/index.m3u8" ||
  fail "ffmpeg could not make the sample."

say "Starting an origin server for the sample"
python3 -B tests/clients/origin.py "$work/stream" >"$work/origin.log" 2>&1 &
origin=$!
wait_for() { # COMMAND...: until it succeeds; fails after ten seconds
  local i
  for ((i = 0; i < 100; i++)); do
    if "$@"; then return 0; fi
    sleep 0.1
  done
  return 1
}
wait_for grep -q ^http "$work/origin.log" || fail "the origin did not start: $(<"$work/origin.log")"
origin_url=$(head -n 1 "$work/origin.log")
echo "$origin_url/index.m3u8"

say "Starting the proxy; its configuration allows one private address, the origin"
cat >"$work/streamgate.yaml" <<EOF
listen: 127.0.0.1:$port
drain: {idle: 100ms, stop_timeout: 2s}
page: {enabled: true}
security:
  allow_private: ["${origin_url#http://}"]
EOF
cat "$work/streamgate.yaml"
"$binary" -c "$work/streamgate.yaml" >"$work/log" 2>&1 &
proxy=$!
bound() { grep -q listener.bound "$work/log" || ! kill -0 "$proxy" 2>/dev/null; }
# If the proxy did not bind, the address is empty, and the check below prints the log.
wait_for bound || true
address=$(sed -n 's/.*listener\.bound.* address=\([^ ]*\).*/\1/p' "$work/log" | head -n 1)
ready() { curl -s -o "$work/health" "http://$address/health" || ! kill -0 "$proxy" 2>/dev/null; }
if [[ -z $address ]] || ! wait_for ready || ! kill -0 "$proxy" 2>/dev/null; then
  cat "$work/log" >&2
  fail "the proxy did not start; see above."
fi

fetch() { curl -sS --fail --max-time 20 "$@" || fail "the request failed: curl $*"; }
encode() {
  python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"
}
play="http://$address/stream?url=$(encode "$origin_url/index.m3u8")"

say "The playlist from the origin"
fetch "$origin_url/index.m3u8"
say "The same playlist through the proxy: every URL in it points to the proxy"
fetch "$play" | tee "$work/playlist"
segment=$(grep -v '^#' "$work/playlist" | head -n 1)
[[ $segment == "http://$address/stream"* ]] || fail "the playlist was not rewritten."
say "A segment through the proxy: the response head"
fetch -o "$work/segment" -D - "$segment"
cmp -s "$work/segment" "$work/stream/segment-0.ts" || fail "the segment differs from the origin's."
say "A range of the segment, as a seeking player requests it: the response head"
fetch -o "$work/part" -D "$work/part-head" -H 'Range: bytes=1000-1999' "$segment"
cat "$work/part-head"
grep -q '^HTTP/1.1 206' "$work/part-head" || fail "the response to the range request is not a 206."
say "Playing the stream to its end with ffmpeg, through the proxy"
ffmpeg -v error -nostdin -i "$play" -f null - || fail "ffmpeg could not play it."
echo "played."

page="http://$address/"
fetch -o "$work/page" "$page"
grep -q '<title>Streamgate</title>' "$work/page" || fail "the page did not arrive."
say "Open this in a browser. It makes links, plays them, and shows what happened:"
echo "$page#url=$(encode "$origin_url/index.m3u8")"
say "Open this in a player (VLC, mpv, ffplay, hls.js, Safari):"
echo "$play"
((stay)) || exit 0
say "The proxy runs until Ctrl-C. Its log:"
tail -n +1 -f "$work/log" &
follow=$!
wait "$proxy" || fail "the proxy ended; see its log above."
