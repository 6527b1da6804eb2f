"""Runs the same workloads through Streamgate and its peers, interleaved, and prints their cost."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import measure
import servers
import works

HERE = pathlib.Path(__file__).resolve().parent
MIB = works.MIB


class Failure(Exception):
    """A sample could not be taken. Earlier samples remain valid."""


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streamgate", type=pathlib.Path, metavar="PATH",
                        default=HERE.parent.parent / "build/release/streamgate",
                        help="the release binary (default: build/release/streamgate)")
    parser.add_argument("--peers-only", action="store_true", help="leave Streamgate out")
    parser.add_argument("--only", metavar="WORK,...", help=", ".join(w.name for w in works.WORKS))
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: a smoke test")
    parser.add_argument("--workers", type=int, default=1, help="of each proxy (default 1)")
    parser.add_argument("--viewers", type=int,
                        help="slow or idle viewers; memory-4: four times as many (default 1000)")
    parser.add_argument("--rate", type=int, default=2000, help="requests per second (default 2000)")
    parser.add_argument("--access-log", choices=("streamgate", "all", "none"), default="streamgate",
                        help="which servers write an access log to a file (default streamgate)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every sample too")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else works.DEFAULT
    unknown = set(names) - {work.name for work in works.WORKS}
    if unknown:
        parser.error(f"unknown work: {', '.join(sorted(unknown))}")
    options.works = [work for work in works.WORKS if work.name in names]
    if options.peers_only:
        options.streamgate = None
    quick = options.quick
    options.repeat = min(options.repeat, 2) if quick else options.repeat
    options.seconds = 1 if quick else 3
    options.rate_seconds = 2 if quick else 5
    options.viewers = options.viewers or (250 if quick else 1000)
    options.bulk_bytes = (64 if quick else 256) * MIB
    options.readers, options.downloads = 4, 2
    options.segment_bytes = (32 if quick else 256) * MIB  # for each reader
    options.live_viewers, options.live_seconds = (20, 6) if quick else (100, 20)
    return options


def check_requirements(options):
    missing = [f"{tool} (Debian package {package})" for tool, package in
               (("nginx", "nginx-light"), ("haproxy", "haproxy"), ("wrk", "wrk"),
                ("openssl", "openssl"), ("c++", "g++"))
               if not shutil.which(tool)]
    if any("varnish" in work.servers for work in options.works) and not shutil.which("varnishd"):
        missing.append("varnishd (Debian package varnish)")
    if "syscalls" in [work.name for work in options.works] and not shutil.which("strace"):
        missing.append("strace (Debian package strace)")
    if options.streamgate and not os.access(options.streamgate, os.X_OK):
        missing.append(f"{options.streamgate} (cmake --workflow --preset release, "
                       "--streamgate PATH, or --peers-only)")
    if missing:
        sys.exit("missing: " + "\n         ".join(missing))


def build_load(directory):
    program = f"{directory}/load"
    subprocess.run(["c++", "-std=c++20", "-O2", "-pthread", "-o", program, str(HERE / "load.cc")],
                   check=True)
    return program


def check_answers(server):
    """Checks that every server answers, and that Streamgate rewrites."""
    for file, tls in (("live.m3u8", False), ("64k.ts", False), ("live.m3u8", True)):
        url = f"http://127.0.0.1:{server.port}{server.target(file, tls)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            body = answer.read()
        is_rewritten = b"https://keys.example.com/" not in body
        if server.name.startswith("streamgate") and file == "live.m3u8" and not is_rewritten:
            raise RuntimeError(f"{url} was not rewritten:\n{body.decode()}")


def measure_once(bench, work, server, is_first):
    """One sample. A failure includes the server's output and exit status."""
    try:
        if is_first:
            work.warm_up(bench, server)
        sample = work.measure(bench, server)
        server.check_alive()
        return sample
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{work.name} through {server.name} failed: {error}\n"
                      f"exit status: {server.process.poll()}\n{server.output()}") from error


def run_rounds(bench, samples):
    """Fills {work: {server: [sample, ...]}}. A round runs each workload once, in rotating order."""
    for index in range(bench.options.repeat):
        for work in bench.options.works:
            names = [name for name in work.servers if name in bench.servers]
            for name in names[index % len(names):] + names[:index % len(names)]:
                sample = measure_once(bench, work, bench.servers[name], index == 0)
                samples[work.name].setdefault(name, []).append(sample)
                print(f"round {index + 1} {work.name} {name}: {sample[0]:.4g}", file=sys.stderr)


def show(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(work, samples):
    """A Markdown table: medians, the first column's spread and its ratio to the first server."""
    names = [name for name in work.servers if name in samples]
    reference = [sample[0] for sample in samples[names[0]]]
    lines = [f"### {work.title}", "", f"{work.unit}, {work.better} is better", "",
             "| server | " + " | ".join(work.columns) + f" | min – max | ÷ {names[0]} |",
             "| --- |" + " ---: |" * (len(work.columns) + 2)]
    for name in names:
        columns = [show(measure.median(column)) for column in zip(*samples[name])]
        first = [sample[0] for sample in samples[name]]
        ratio = measure.median([a / b for a, b in zip(first, reference)])  # of the same round
        lines.append(f"| {name} | " + " | ".join(columns) +
                     f" | {show(min(first))} – {show(max(first))} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def describe(options):
    def first_line(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).splitlines()[0].split(" - ")[0]
    versions = [first_line("nginx", "-v"), first_line("haproxy", "-v")]
    if options.streamgate:
        versions.append(first_line(str(options.streamgate), "--version"))
    return (f"{'; '.join(versions)}; {os.cpu_count()} CPUs, {options.workers} worker(s) each, "
            f"access log: {options.access_log}, medians of {options.repeat} rounds, "
            f"{options.viewers} viewers for memory, {options.rate} requests/s for latency\n")


def run(options, directory, samples):
    works.write_documents(pathlib.Path(directory) / "root", options.bulk_bytes)
    servers.make_certificate(directory)
    site = servers.Site(directory, options)
    started = {}
    try:
        started["direct"] = site.start_origin()
        wanted = {name for work in options.works for name in work.servers}
        for name, start in site.starters().items():
            if name in wanted:
                started[name] = start(name)
                check_answers(started[name])
        bench = works.Bench(options, site, build_load(directory), started)
        run_rounds(bench, samples)
    finally:
        for server in started.values():
            server.stop()


def main():
    options = parse_options()
    check_requirements(options)
    begin = time.monotonic()
    samples, failure = {work.name: {} for work in options.works}, None
    with tempfile.TemporaryDirectory(prefix="streamgate-bench-") as directory:
        try:
            run(options, directory, samples)
        except Failure as error:
            failure = error
    print(describe(options))
    for work in options.works:
        if samples[work.name]:
            print(table(work, samples[work.name]))
    print(f"{time.monotonic() - begin:.0f} s in total", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(samples, indent=1) + "\n")
    if failure:
        sys.exit(f"stopped early: {failure}")


if __name__ == "__main__":
    main()
