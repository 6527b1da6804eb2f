#!/bin/sh
# Measures Streamgate beside nginx and HAProxy on loopback and prints tables. See README.md.
set -eu
# 4,000 slow viewers need a descriptor on either side of a proxy, and two more for each splice pipe.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
exec python3 "$(dirname "$0")/bench.py" "$@"
