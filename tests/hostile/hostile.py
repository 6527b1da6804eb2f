"""Attacks the service and measures a bystander. Prints a table; exit status 1 if a bound is broken.

    hostile.py [--only NAME[,NAME]] [--soak MINUTES]
"""

import argparse
import os
import sys

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))

from harness import BINARY
from measure import ATTACKS, Measurement, Row
from name_server import can_mount
from soak import soak


def measure(attack):
    measurement = Measurement(attack)
    try:
        return measurement.run()
    finally:
        measurement.end()


def print_row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Measures a bystander during attacks.")
    parser.add_argument("--only", default="", help="names of attacks, with commas")
    parser.add_argument("--soak", type=int, default=0, metavar="MINUTES", help="all at once")
    options = parser.parse_args()
    if not BINARY or not os.access(BINARY, os.X_OK):
        sys.exit("set STREAMGATE_BINARY to the streamgate to test")
    only = [name for name in options.only.split(",") if name]
    unknown = set(only) - {attack.name for attack in ATTACKS}
    if unknown:
        sys.exit(f"no such attack: {', '.join(sorted(unknown))}")
    print_row(Row.HEADINGS)
    print_row(["---"] * len(Row.HEADINGS))
    broken = soak(options.soak, print_row) if options.soak else []
    for attack in [] if options.soak else ATTACKS:
        if attack.own_names and not can_mount():
            print(f"NOT RUN {attack.name}: this user cannot mount an /etc/resolv.conf")
        elif attack.log == "disk" and os.geteuid() != 0:
            print(f"NOT RUN {attack.name}: only root can mount a disk")
        elif not only or attack.name in only:
            row = measure(attack)
            print_row(row.cells())
            broken += [f"{row.name}: {text}" for text in row.broken]
    for text in broken:
        print(f"BROKEN {text}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
