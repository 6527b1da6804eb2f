# shellcheck shell=bash
# Makes a package with another version, in its fields and in the program, and another problem. Sourced, not run.

repack() { # PACKAGE VERSION FILE [COMMAND-IN-THE-TREE]
  local tree
  tree=$(mktemp -d)/tree
  dpkg-deb -R "$1" "$tree"
  sed -i "s/^Version: .*/Version: $2/" "$tree/DEBIAN/control"
  python3 - "$tree/usr/sbin/streamgate" "$(dpkg-deb -f "$1" Version)" "$2" <<'PYTHON'
import sys
path, old, new = sys.argv[1:]
with open(path, "rb") as file:
    program = file.read()
assert len(old) == len(new) and program.count(b"%s\0" % old.encode()) == 1
with open(path, "wb") as file:
    file.write(program.replace(b"%s\0" % old.encode(), b"%s\0" % new.encode()))
PYTHON
  [[ -z ${4:-} ]] || (cd "$tree" && eval "$4")
  (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
  dpkg-deb --root-owner-group -b "$tree" "$3" >/dev/null
  rm -r "${tree%/tree}"
}
