#!/usr/bin/env python3
"""Checks the bill of materials of a static program against the packages that it is built from.

    tests/release/sbom.py FILE VERSION PACKAGE...    PACKAGE: what deploy/packages.sh installs to build
"""

import json
import re
import subprocess
import sys

# The compiler's own; those of a cross compiler may have another revision.
COMPILER = {"glibc": "libc6-dev", "gcc-12": "libstdc++-12-dev"}
PLAYERS = "worker/pages/players/package.json"
# Built from its source package.
OWN = "libevhtp-dev"


def source_of(package):
    show = "${source:Package} ${source:Version}"
    return subprocess.run(
        ["dpkg-query", "-W", "-f", show + "\n", package], capture_output=True, text=True, check=True
    ).stdout.split("\n")[0].split()


def main():
    path, version, *packages = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        bom = json.load(file)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    about = bom["metadata"]["component"]
    assert (about["name"], about["version"]) == ("streamgate", version), about
    found = {entry["name"]: entry["version"] for entry in bom["components"]}
    assert len(found) == len(bom["components"]), "a component is listed twice"
    for entry in bom["components"]:
        assert entry["purl"].startswith("pkg:") and entry["version"], entry
    references = {entry["bom-ref"] for entry in bom["components"]}
    assert set(bom["dependencies"][0]["dependsOn"]) == references

    libraries = [name for name in packages if re.match(r"lib.*-dev$|.*-dev$", name)]
    expected = dict(source_of(name) for name in libraries if not name.startswith("dpkg"))
    for name, package in COMPILER.items():
        assert found[name].split("-")[0] == source_of(package)[1].split("-")[0], (name, found[name])
    with open(PLAYERS, encoding="utf-8") as file:
        expected.update(json.load(file)["dependencies"])
    own, own_version = source_of(OWN)
    # Debian's version is that of the source with a revision behind it.
    assert own_version.startswith(found[own]), (own_version, found[own])
    expected[own] = found[own]
    for name, known in expected.items():
        assert found.get(name) == known, f"{name}: {known} is built in, the bill has {found.get(name)}"
    print(f"{len(found)} components, {len(expected)} of them checked")


main()
