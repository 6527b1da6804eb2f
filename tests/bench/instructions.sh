#!/bin/sh
# Counts the instructions that one request costs Streamgate in user space. See README.md.
set -eu
exec python3 "$(dirname "$0")/instructions.py" "$@"
