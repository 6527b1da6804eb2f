#!/usr/bin/env python3
"""Checks that the operator's table has exactly the events that are logged as warnings or errors,
and that common/log_events.h has all events.

    documented_events.py SOURCE_FOLDER
"""

import pathlib
import re
import sys

LOGGED = re.compile(r'(?:log::(debug|info|warn|error)\(|line_of\(LogLevel::(\w+),)\s*"([a-z_.]+)"')
LISTED = re.compile(r'^ +"([a-z_.]+)",$', re.MULTILINE)
ROW = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)


def main(source):
    named, logged = set(), set()
    for layer in ("master", "worker", "common"):
        for path in (source / layer).rglob("*.cc"):
            for level, other, event in LOGGED.findall(path.read_text(encoding="utf-8")):
                named.add(event)
                if (level or other) in ("warn", "error"):
                    logged.add(event)
    manual = (source / "deploy" / "OPERATIONS.md").read_text(encoding="utf-8")
    table = manual.split("## The log\n")[1].split("\n### ")[0]
    documented = {event for row in ROW.findall(table) for event in re.findall("`(.+?)`", row)}
    for event in sorted(logged - documented):
        print(f"deploy/OPERATIONS.md does not explain {event}")
    for event in sorted(documented - logged):
        print(f"deploy/OPERATIONS.md explains {event}, which nothing logs")
    listed = LISTED.findall((source / "common" / "log_events.h").read_text(encoding="utf-8"))
    for event in sorted(named ^ set(listed)):
        print(f"common/log_events.h: {event} is {'missing' if event in named else 'never logged'}")
    if listed != sorted(listed):
        print("common/log_events.h is not in alphabetical order")
    if not logged:
        print("no event was found")
    return logged != documented or listed != sorted(named) or not logged


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
