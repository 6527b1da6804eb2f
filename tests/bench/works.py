"""The workloads that every server runs once per round.

Each workload has its servers, its unit, and the better direction. `measure(bench, server)` runs it
and returns the columns of one sample. Ratios are computed from the first column."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import followers
import measure

GIB = 1 << 30
MIB = 1 << 20
RUN_LIMIT = 180.0  # seconds for one sample


class Bench:
    """Used by all workloads: the options, the load generator, the servers by name."""

    def __init__(self, options, site, load, servers):
        self.options, self.site, self.load_path, self.servers = options, site, load, servers

    def load(self, *words):
        done = subprocess.run(
            [self.load_path, *map(str, words)], capture_output=True, text=True, timeout=RUN_LIMIT
        )
        if done.returncode:
            raise RuntimeError(f"load {' '.join(map(str, words))}: {done.stderr}")
        return json.loads(done.stdout)

    def wrk(self, server, file, connections, seconds):
        """The number of answered requests of wrk over keep-alive connections."""
        url = f"http://127.0.0.1:{server.port}{server.target(file, False)}"
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url],
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT,
        )
        count = re.search(r"(\d+) requests in", done.stdout)
        if not count or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise RuntimeError(f"wrk {url}:\n{done.stdout}{done.stderr}")
        return int(count[1])


RELAYS = ("nginx unbuffered", "nginx 64k", "haproxy splice", "streamgate")
CACHES = ("nginx cache", "varnish", "streamgate", "streamgate cache")


class Bulk:
    """Large bodies to a few readers at full speed."""

    unit, better, columns = "CPU-s per GiB", "lower", ("total", "user", "system")

    def __init__(self, name, title, tls, servers=RELAYS):
        self.name, self.title, self.tls, self.servers = name, title, tls, servers

    def measure(self, bench, server):
        options = bench.options
        with measure.CpuMeter(server.pids) as meter:
            done = bench.load(
                "bulk",
                server.port,
                server.target("bulk.ts", self.tls),
                options.readers,
                options.downloads,
            )
        if done["bytes"] < options.readers * options.downloads * options.bulk_bytes:
            raise RuntimeError(f"{server.name} relayed {done['bytes']} bytes only")
        gib = done["bytes"] / GIB
        return meter.total / gib, meter.user / gib, meter.system / gib

    def warm_up(self, bench, server):
        bench.load("bulk", server.port, server.target("bulk.ts", self.tls), 1, 1)


class Requests:
    """Small requests to a saturated server, over keep-alive connections."""

    unit, better = "requests per CPU-s", "higher"
    columns = ("per CPU-s", "user µs each", "system µs each")

    def __init__(self, name, title, file, servers, connections=32):
        self.name, self.title, self.file, self.servers = name, title, file, servers
        self.connections = connections

    def measure(self, bench, server):
        with measure.CpuMeter(server.pids) as meter:
            count = bench.wrk(server, self.file, self.connections, bench.options.seconds)
        return count / meter.total, meter.user / count * 1e6, meter.system / count * 1e6

    def warm_up(self, bench, server):
        bench.wrk(server, self.file, self.connections, 1)


class Segments:
    """Objects of one size to a few readers at full speed: the same one, or each once."""

    unit, better, columns = "CPU-s per GiB", "lower", ("total", "user", "system")
    servers = CACHES

    def __init__(self, name, title, target, object_bytes):
        self.name, self.title, self.target, self.bytes = name, title, target, object_bytes
        self.runs = 0

    def measure(self, bench, server):
        self.runs += 1  # so that a name with @ was never asked for before
        target = server.target(self.target.replace("#", str(self.runs)), False)
        readers, count = bench.options.readers, bench.options.segment_bytes // self.bytes
        with measure.CpuMeter(server.pids) as meter:
            done = bench.load("bulk", server.port, target, readers, count)
        if done["bytes"] < readers * count * self.bytes:
            raise RuntimeError(f"{server.name} sent {done['bytes']} bytes only")
        gib = done["bytes"] / GIB
        return meter.total / gib, meter.user / gib, meter.system / gib

    def warm_up(self, bench, server):
        self.measure(bench, server)  # the memory of the cache is in use then


class Encoder:
    """Gives the origin's live playlist a new segment every two seconds; at the end its old text."""

    SECONDS = 2

    def __init__(self, root):
        self.file, self.over = root / "live.m3u8", threading.Event()
        self.text = self.file.read_text()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.publish(1)
        self.thread.start()

    def __exit__(self, *unused):
        self.over.set()
        self.thread.join()
        self.replace(self.text)

    def run(self):
        number = 1
        while not self.over.wait(self.SECONDS):
            number += 1
            self.publish(number)

    def publish(self, number):
        text = self.text.replace("SEQUENCE:81342", f"SEQUENCE:{81342 + number}")
        text = text.replace("DURATION:6", f"DURATION:{self.SECONDS}")
        self.replace(text.replace("#EXTINF:6.000", f"#EXTINF:{self.SECONDS}.000"))

    def replace(self, text):
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.file)


class Viewers:
    """Viewers of one live stream who ask for a playlist and a segment of 2 MiB every two seconds.
    The last columns are the upstream's: requests for segments and playlists."""

    unit, better = "CPU-s per GiB", "lower"
    columns = ("total", "user", "system", "segments", "playlists")
    servers = CACHES

    def __init__(self, name, title):
        self.name, self.title = name, title

    def measure(self, bench, server):
        options = bench.options
        before = self.upstream_requests(bench)
        with Encoder(bench.site.directory / "root"), measure.CpuMeter(server.pids) as meter:
            done = bench.load(
                "viewers",
                server.port,
                server.target("@", False),
                options.live_viewers,
                options.live_seconds,
            )
        gib = done["bytes"] / GIB
        segments, playlists = (
            b - a for a, b in zip(before, self.upstream_requests(bench))
        )
        return meter.total / gib, meter.user / gib, meter.system / gib, segments, playlists

    def upstream_requests(self, bench):
        logs = (bench.site.directory / f"{kind}.log" for kind in ("segments", "playlists"))
        return [log.read_bytes().count(b"\n") for log in logs]

    def warm_up(self, bench, server):
        bench.load("bulk", server.port, server.target("live.m3u8", False), 1, 1)


class Latency:
    """A viewer's waiting time for a live playlist at a fixed rate. The origin is the baseline."""

    unit, better, columns = "µs, median answer", "lower", ("p50", "p90", "p99", "p99.9")
    servers = ("direct", "nginx fixed", "haproxy splice", "streamgate")

    def __init__(self, name, title):
        self.name, self.title = name, title

    def measure(self, bench, server):
        done = bench.load(
            "rate",
            server.port,
            server.target("live.m3u8", False),
            bench.options.rate,
            bench.options.rate_seconds,
        )
        return done["p50"], done["p90"], done["p99"], done["p999"]

    def warm_up(self, bench, server):
        bench.load("rate", server.port, server.target("live.m3u8", False), bench.options.rate, 1)


class Memory:
    """Memory per open connection: viewers that stopped reading a large body (`stall`), or that have
    their answer and send no further request (`idle`). Each sample starts a new server, because
    memory that the allocator keeps from an earlier round would hide the cost of this one."""

    unit, better = "KiB per viewer", "lower"
    columns = ("total", "resident", "in pipes")
    servers = ("nginx 64k", "haproxy splice", "streamgate")

    def __init__(self, name, title, mode, file, times=1):
        self.name, self.title, self.mode, self.file, self.times = name, title, mode, file, times

    def measure(self, bench, server):
        fresh = bench.site.starters()[server.name](server.name)
        try:
            return self.measure_fresh(bench, fresh)
        finally:
            fresh.stop()

    def measure_fresh(self, bench, server):
        viewers = bench.options.viewers * self.times
        before = measure.settled_memory(server.pids)
        load = subprocess.Popen(
            [
                bench.load_path,
                self.mode,
                str(server.port),
                server.target(self.file, False),
                str(viewers),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            if not load.stdout.readline():
                raise RuntimeError(f"{self.name} of {server.name}: {load.stderr.read().decode()}")
            after = measure.settled_memory(server.pids)
        finally:
            load.stdin.close()
            load.wait(RUN_LIMIT)
        resident, piped = ((b - a) / viewers / 1024 for a, b in zip(before, after))
        return resident + piped, resident, piped

    def warm_up(self, bench, server):
        pass


class SystemCalls:
    """System calls per live playlist in steady state, counted by strace."""

    unit, better, columns = "system calls per request", "lower", ("calls",)
    servers = ("nginx fixed", "haproxy splice", "streamgate")

    def __init__(self, name, title):
        self.name, self.title = name, title

    def measure(self, bench, server):
        report = server.directory / "strace.txt"
        words = [word for pid in server.pids for word in ("-p", str(pid))]
        trace = subprocess.Popen(
            ["strace", "-f", "-c", "-S", "calls", "-U", "calls,name", "-o", str(report), *words],
            stderr=subprocess.PIPE,
        )
        self.wait_until_traced(server.pids)
        try:
            count = bench.wrk(server, "live.m3u8", 8, bench.options.seconds)
        finally:
            trace.send_signal(signal.SIGINT)
            trace.communicate(timeout=10)
        calls = {
            name: int(n)
            for n, name in re.findall(r"^\s*(\d+)\s+(\w+)$", report.read_text(), re.MULTILINE)
            if name != "total"
        }
        shares = (f"{name} {n / count:.3f}" for name, n in calls.items() if n * 1000 > count)
        print(f"  {server.name}: {', '.join(shares)}", file=sys.stderr)
        return (sum(calls.values()) / count,)

    def wait_until_traced(self, pids):
        deadline = time.monotonic() + 5
        for pid in pids:
            while True:
                with open(f"/proc/{pid}/status") as file:
                    if not re.search(r"^TracerPid:\t0$", file.read(), re.MULTILINE):
                        break
                if time.monotonic() > deadline:
                    raise RuntimeError("strace did not attach; is it permitted to?")
                time.sleep(0.01)

    def warm_up(self, bench, server):
        bench.wrk(server, "live.m3u8", 8, 1)


SMALL = ("nginx fixed", "nginx variable", "haproxy splice", "streamgate")

WORKS = (
    Bulk("bulk", "Bulk over plain HTTP", False),
    Bulk("bulk-tls", "Bulk from a TLS upstream", True),
    Requests(
        "live",
        "Live playlist (6 segments and a key; only Streamgate rewrites it)",
        "live.m3u8",
        SMALL,
    ),
    Requests("1k", "1 KiB object", "1k.ts", SMALL),
    Requests("64k", "64 KiB object", "64k.ts", SMALL + ("nginx 64k",)),
    Requests(
        "long",
        "Playlist of 20,000 segments (only Streamgate rewrites it)",
        "long.m3u8",
        (
            "nginx fixed",
            "haproxy splice",
            "streamgate",
            "streamgate grants",
            "streamgate path",
            "streamgate path grants",
        ),
        connections=4,
    ),
    Requests("cache-live", "Live playlist from a cache", "live.m3u8", CACHES),
    Requests("cache-64k", "64 KiB object from a cache", "64k.ts", CACHES),
    Segments("cache-2m", "2 MiB segment from a cache", "2m.ts", 2 * MIB),
    Segments("cache-miss", "64 KiB objects, each asked for once", "64k.ts?run=#&n=@", 64 * 1024),
    Viewers("viewers", "Viewers of one live stream"),
    followers.Follow("follow", "Delay of a body that ten clients share as it arrives"),
    followers.Wake("wake", "Blocking reloads of one playlist"),
    Latency("latency", "Latency of a live playlist at a fixed rate"),
    Memory("memory", "Memory per viewer who stopped reading", "stall", "endless.ts"),
    Memory("memory-4", "The same, four times as many", "stall", "endless.ts", times=4),
    Memory("idle", "Memory per idle keep-alive connection", "idle", "live.m3u8"),
    SystemCalls("syscalls", "System calls per live playlist on keep-alive connections"),
)
DEFAULT = [work.name for work in WORKS if work.name != "syscalls"]  # it needs strace


def write_documents(root, bulk_bytes):
    """The origin's files. `x` and `tls/x` are the same file."""
    root.mkdir()
    (root / "tls").symlink_to(".")
    noise = os.urandom(MIB)  # random, because pages of zeros are cheaper to copy
    with open(root / "bulk.ts", "wb") as file:
        for _ in range(bulk_bytes // MIB):
            file.write(noise)
    with open(root / "endless.ts", "wb") as file:
        file.truncate(GIB)
    (root / "1k.ts").write_bytes(noise[:1024])
    (root / "64k.ts").write_bytes(noise[:65536])
    (root / "2m.ts").write_bytes(noise * 2)
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:81342\n"
    key = '#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example.com/live/channel-7/81342.key?t=%s"\n'
    live = "".join(
        f"#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:{6 * i:02}.000Z\n#EXTINF:6.000,\n"
        f"media/channel-7/1080p/segment_{81342 + i}.ts?token=0123456789abcdef0123456789\n"
        for i in range(6)
    )
    (root / "live.m3u8").write_text(head + key % ("0123456789abcdef" * 2) + live)
    (root / "long.m3u8").write_text(
        head
        + "".join(
            f"#EXTINF:6.000,\nvod/1080p/title-0042/segment_{i:05}.ts?part=v{i:05}\n"
            for i in range(20000)
        )
        + "#EXT-X-ENDLIST\n"
    )
