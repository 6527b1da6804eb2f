#!/usr/bin/env python3
"""Writes the bill of materials of the static program: every package that is linked into it.

    deploy/sbom.py VERSION BUILD-DIRECTORY >streamgate.cdx.json

The libraries are those of the linker's command (build.ninja of the static preset), so that the list
cannot be out of date. CycloneDX 1.5, JSON.
"""

import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timezone
from urllib.parse import quote

# Not on the command line: the compiler adds its own libraries, and two libraries are headers only.
COMPILER_LIBRARIES = {"libc.a": "glibc", "libstdc++.a": "libstdc++", "libgcc.a": "libgcc"}
HEADERS = ["nlohmann-json3-dev", "libcli11-dev"]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def compiler(build):
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as cache:
        return re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache.read(), re.M)[1]


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
        archives.add(os.path.realpath(run(compiler(build), f"-print-file-name={name}")))
    return sorted(archives)


def owner(path):
    """The package that has the file; without a merged /usr its record may lack the /usr."""
    for name in (path, path.removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(": ")[0].split(",")[0]
    return None


def component(package):
    fields = ["source:Package", "source:Version", "Package", "Version", "Architecture", "Homepage"]
    show = "\t".join("${%s}" % field for field in fields)
    shown = run("dpkg-query", "-W", "-f", show, package).split("\t")
    source, source_version, name, version, arch, *homepage = shown
    purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={arch}&distro=debian-12"
    entry = {
        "type": "library",
        "bom-ref": purl,
        "name": source,
        "version": source_version,
        "purl": purl,
    }
    if homepage:
        entry["externalReferences"] = [{"type": "website", "url": homepage[0]}]
    return entry


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
        entry = component(package) if package else own_component(build, archive)
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
