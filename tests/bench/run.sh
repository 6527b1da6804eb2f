#!/usr/bin/env bash
# Measures Streamgate, nginx and HAProxy on loopback and prints tables. See README.md.
set -euo pipefail
# 4,000 slow viewers need two descriptors each in a proxy, and two more for each splice pipe.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
exec python3 "$(dirname "${BASH_SOURCE[0]}")/bench.py" "$@"
