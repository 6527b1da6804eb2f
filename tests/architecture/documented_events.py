#!/usr/bin/env python3
"""Checks that the operator's table has exactly the events that are logged as warnings or errors.

    documented_events.py SOURCE_FOLDER
"""

import pathlib
import re
import sys

LOGGED = re.compile(r'log::(?:warn|error)\(\s*"([a-z_.]+)"')
ROW = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)


def main(source):
    logged = set()
    for layer in ("master", "worker", "common"):
        for path in (source / layer).rglob("*.cc"):
            logged.update(LOGGED.findall(path.read_text(encoding="utf-8")))
    manual = (source / "deploy" / "OPERATIONS.md").read_text(encoding="utf-8")
    table = manual.split("## The log\n")[1].split("\n### ")[0]
    documented = {event for row in ROW.findall(table) for event in re.findall("`(.+?)`", row)}
    for event in sorted(logged - documented):
        print(f"deploy/OPERATIONS.md does not explain {event}")
    for event in sorted(documented - logged):
        print(f"deploy/OPERATIONS.md explains {event}, which nothing logs")
    if not logged:
        print("no event was found")
    return logged != documented or not logged


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
