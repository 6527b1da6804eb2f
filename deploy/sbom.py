#!/usr/bin/env python3
"""Writes the bill of materials of the static program: every package that is linked into it.

    deploy/sbom.py VERSION BUILD-DIRECTORY >streamgate.cdx.json

The libraries are those of the linker's command (build.ninja of the static preset), so that the list
cannot be out of date. CycloneDX 1.5, JSON.
"""

import glob
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timezone
from urllib.parse import quote

# Not on the command line: the compiler adds its own libraries, and two libraries are headers only.
COMPILER_LIBRARIES = ["libc.a", "libstdc++.a", "libgcc.a"]
# A cross compiler's packages have another source, and name the real one as `Built-Using`.
CROSS_LIBRARIES = {"libstdc++-12-dev-": "gcc-12", "libgcc-12-dev-": "gcc-12"}
HEADERS = ["nlohmann-json3-dev", "libcli11-dev"]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def compiler(build):
    """The command, with the flags that decide where it finds its libraries."""
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as file:
        cache = file.read()
    value = lambda name: re.search(rf"^{name}:\w+=(.*)$", cache, re.M)[1]
    return [value("CMAKE_CXX_COMPILER"), *value("CMAKE_EXE_LINKER_FLAGS").split()]


def linked_archives(build):
    """The static libraries on the command that links the program, with real paths."""
    with open(os.path.join(build, "build.ninja"), encoding="utf-8") as file:
        rules = file.read()
    step = re.search(
        r"^build streamgate: CXX_EXECUTABLE_LINKER.*?^  LINK_LIBRARIES = (.*?)$", rules, re.M | re.S
    )
    words = [word for word in step[1].split() if word.startswith("/") and word.endswith(".a")]
    archives = {os.path.realpath(word) for word in words}
    for name in COMPILER_LIBRARIES:
        archives.add(os.path.realpath(run(*compiler(build), f"-print-file-name={name}")))
    return sorted(archives)


def owner(path):
    """The package that has the file; without a merged /usr its record may lack the /usr."""
    for name in (path, path.removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(": ")[0].split(",")[0]
    return None


def entry_of(source, source_version, name, version, arch, homepage):
    purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={arch}&distro=debian-12"
    entry = {
        "type": "library",
        "bom-ref": purl,
        "name": source,
        "version": source_version,
        "purl": purl,
    }
    if homepage:
        entry["externalReferences"] = [{"type": "website", "url": homepage}]
    return entry


def component(package):
    """An installed package."""
    fields = ["source:Package", "source:Version", "Package", "Version", "Architecture", "Homepage"]
    show = "\t".join("${%s}" % field for field in [*fields, "Built-Using"])
    shown = run("dpkg-query", "-W", "-f", show + "\n", package).split("\n")[0].split("\t")
    *known, built_using = [*shown, "", ""][: len(fields) + 1]
    for start, source in CROSS_LIBRARIES.items():
        found = re.search(rf"\b{re.escape(source)} \(= ([^)]+)\)", built_using)
        if package.startswith(start) and package.endswith("-cross") and found:
            known[:2] = source, found[1]
    return entry_of(*known)


def unpacked_component(archive):
    """A package that build-static.sh has unpacked beside the build; None for other files."""
    root, found, path = archive.rpartition("/libraries/")
    for deb in glob.glob(os.path.join(root, "libraries", "packages", "*.deb")) if found else ():
        if f" ./{path}\n" not in run("dpkg-deb", "-c", deb) + "\n":
            continue
        text = run("dpkg-deb", "-f", deb)
        fields = dict(re.findall(r"^([\w-]+): (.*)$", text, re.M))
        name, version = fields["Package"], fields["Version"]
        source, _, given = fields.get("Source", name).partition(" ")
        return entry_of(source, given.strip("()") or version, name, version,
                        fields["Architecture"], fields.get("Homepage"))
    return None


def page_players(build):
    """The npm packages in the page, if the build has them."""
    lock = os.path.join(build, "page", "package-lock.json")
    if not os.path.exists(lock):
        return
    with open(lock, encoding="utf-8") as file:
        packages = json.load(file)["packages"]
    for path, package in packages.items():
        name = path.removeprefix("node_modules/")
        if name and not package.get("dev"):
            purl = f"pkg:npm/{name}@{package['version']}"
            yield {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": package["version"],
                "purl": purl,
                "licenses": [{"license": {"id": package["license"]}}],
            }


def own_component(build, archive):
    """libevhtp is built from Debian's source, see build-static.sh."""
    name = os.path.basename(archive).removesuffix(".a")
    description = os.path.join(os.path.dirname(archive), "pkgconfig", "evhtp.pc")
    with open(description, encoding="utf-8") as file:
        version = re.search(r"^Version: (.*)$", file.read(), re.M)[1]
    purl = f"pkg:deb/debian/{name}@{version}?arch=source&distro=debian-12"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main():
    version, build = sys.argv[1:]
    components = {}
    for archive in linked_archives(build):
        package = owner(archive)
        entry = component(package) if package else unpacked_component(archive)
        entry = entry or own_component(build, archive)
        components.setdefault(entry["name"], entry)
    for package in HEADERS:
        entry = component(package)
        components.setdefault(entry["name"], entry)
    for entry in page_players(build):
        components.setdefault(entry["name"], entry)
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", "0")) or time.time()
    when = datetime.fromtimestamp(seconds, timezone.utc)
    program = f"pkg:generic/streamgate@{version}"
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": program,
                "name": "streamgate",
                "version": version,
                "purl": program,
            },
        },
        "components": sorted(components.values(), key=lambda entry: entry["name"]),
        "dependencies": [
            {
                "ref": program,
                "dependsOn": sorted(entry["bom-ref"] for entry in components.values()),
            }
        ],
    }
    json.dump(bom, sys.stdout, indent=2)
    print()


main()
