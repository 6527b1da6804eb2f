#!/usr/bin/env bash
# From a checkout on a bare Debian 12 to a stream that plays through the proxy, without any network
# but the package sources.
#
#   deploy/quickstart.sh [--port N] [--exit]
#
#   --port N   where the proxy listens, on 127.0.0.1 (8080; 0 takes a free one)
#   --exit     stop after showing, instead of serving until Ctrl-C
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf '\nquickstart: %s\n' "$*" >&2
  exit 1
}

port=8080 stay=1
while (($#)); do
  case $1 in
    --exit) stay=0 ;;
    --port)
      [[ ${2:-} =~ ^[0-9]{1,5}$ ]] || fail "--port needs a number from 0 to 65535."
      ((10#$2 < 65536)) || fail "--port needs a number from 0 to 65535."
      port=$2
      shift
      ;;
    *) fail "unknown option $1; there are --port N and --exit." ;;
  esac
  shift
done
# shellcheck source=/dev/null
. /etc/os-release
[[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]] ||
  echo "This is made for Debian 12; here is ${PRETTY_NAME:-something else}."

work=$(mktemp -d)
proxy='' origin='' follow=''
finish() {
  trap - EXIT INT TERM
  local pid
  # What is being stopped may have ended by itself, and with any status.
  for pid in $follow $origin $proxy; do kill "$pid" 2>/dev/null || true; done
  [[ -z $proxy ]] || wait "$proxy" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
# Ctrl-C is how this script is meant to end.
trap 'echo; echo "Stopping."; exit 0' INT TERM

say "Installing what the build and the demonstration need"
install_packages "${BUILD_PACKAGES[@]}" "${DEMO_PACKAGES[@]}" ||
  fail "the packages could not be installed; see above."

say "Building a release binary (some minutes on a small machine)"
{ cmake --preset release && cmake --build --preset release; } >"$work/build.log" 2>&1 || {
  tail -n 30 "$work/build.log" >&2
  fail "the build failed; its last lines are above."
}
binary=build/release/streamgate
"$binary" --version

# From here on everything is on this machine, whatever proxies the environment names.
export no_proxy='*' NO_PROXY='*'

say "Making a sample stream: 20 seconds of a test picture and a tone, as HLS"
mkdir "$work/stream"
ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=640x360:rate=25:duration=20 \
  -f lavfi -i sine=frequency=440:sample_rate=44100:duration=20 \
  -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -c:a aac -b:a 96k \
  -f hls -hls_time 4 -hls_list_size 0 -hls_playlist_type vod \
  -hls_segment_filename "$work/stream/segment-%d.ts" "$work/stream/index.m3u8" ||
  fail "ffmpeg could not make the sample."

say "Serving it from an origin of its own"
python3 -B tests/clients/origin.py "$work/stream" >"$work/origin.log" 2>&1 &
origin=$!
wait_for() { # COMMAND...: until it succeeds, ten seconds at most
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

say "Starting the proxy; its configuration opens the origin's address and nothing else"
cat >"$work/streamgate.yaml" <<EOF
listen: 127.0.0.1:$port
drain: {idle: 100ms, stop_timeout: 2s}
security:
  allow_private: ["${origin_url#http://}"]
EOF
cat "$work/streamgate.yaml"
"$binary" -c "$work/streamgate.yaml" >"$work/log" 2>&1 &
proxy=$!
bound() { grep -q listener.bound "$work/log" || ! kill -0 "$proxy" 2>/dev/null; }
# A proxy that did not bind has no address, and that is judged below, with its log.
wait_for bound || true
address=$(sed -n 's/.*listener\.bound.* address=\([^ ]*\).*/\1/p' "$work/log" | head -n 1)
ready() { curl -s -o "$work/health" "http://$address/health" || ! kill -0 "$proxy" 2>/dev/null; }
if [[ -z $address ]] || ! wait_for ready || ! kill -0 "$proxy" 2>/dev/null; then
  cat "$work/log" >&2
  fail "the proxy did not start, see above. Is port $port in use? --port chooses another."
fi

fetch() { curl -sS --fail --max-time 20 "$@" || fail "asking the proxy failed: curl $*"; }
encode() {
  python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"
}
play="http://$address/stream?url=$(encode "$origin_url/index.m3u8")"

say "The playlist as the origin has it"
fetch "$origin_url/index.m3u8"
say "The same through the proxy: every address in it leads back here"
fetch "$play" | tee "$work/playlist"
segment=$(grep -v '^#' "$work/playlist" | head -n 1)
[[ $segment == "http://$address/stream"* ]] || fail "the playlist was not rewritten."
say "A segment of it: the headers"
fetch -o "$work/segment" -D - "$segment"
cmp -s "$work/segment" "$work/stream/segment-0.ts" || fail "the segment is not what the origin has."
say "A part of it, as a player seeks: the headers"
fetch -o "$work/part" -D "$work/part-head" -H 'Range: bytes=1000-1999' "$segment"
cat "$work/part-head"
grep -q '^HTTP/1.1 206' "$work/part-head" || fail "the answer to a Range is not a 206."
say "Played to the end by ffmpeg, through the proxy"
ffmpeg -v error -nostdin -i "$play" -f null - || fail "ffmpeg could not play it."
echo "played."

say "Open this in a player (VLC, mpv, ffplay, hls.js, Safari):"
echo "$play"
((stay)) || exit 0
say "The proxy stays here until Ctrl-C. Its log:"
tail -n +1 -f "$work/log" &
follow=$!
wait "$proxy" || fail "the proxy has left; see its log above."
