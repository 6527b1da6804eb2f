"""Works with an upstream that answers at a given moment: the delay of the clients that share its
answer."""

import json
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import measure

LIMIT = 60.0  # seconds for one sample
PIECE = 16 * 1024  # of load.cc
PIECES = 250
PAUSE = 0.01  # seconds between two pieces: 1.6 MB/s

PLAYLIST = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=0.33\n"
    b"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0\n#EXT-X-MEDIA-SEQUENCE:5\n"
    + b"".join(
        b'#EXTINF:4.0,\nsegment_%d.mp4\n#EXT-X-PART:DURATION=0.33,URI="part_%d.mp4"\n' % (i, i)
        for i in range(8)
    )
)


class Upstream:
    """`answer(connection)` is called for each request, in a thread of its own."""

    def __init__(self, answer):
        self.answer, self.requests = answer, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        received = b""
        while b"\r\n\r\n" not in received:
            piece = connection.recv(65536)
            if not piece:
                return
            received += piece
        self.requests += 1
        self.answer(connection)
        connection.close()

    def target(self, path):
        return "/stream?url=" + urllib.parse.quote(f"http://127.0.0.1:{self.port}{path}", safe="")


def start_load(bench, *words):
    return subprocess.Popen(
        [bench.load_path, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(load):
    out, error = load.communicate(timeout=LIMIT)
    if load.returncode:
        raise RuntimeError(f"load: {error}")
    return json.loads(out.splitlines()[-1])


class Wake:
    """Players that wait for the next playlist of a low-latency stream (RFC 8216bis 6.2.5.2)."""

    unit, better = "ms until the first has it", "lower"
    columns = ("first", "last", "CPU of all answers", "upstream requests")
    servers = ("streamgate cache",)

    def __init__(self, name, title):
        self.name, self.title = name, title

    def measure(self, bench, server):
        ready, moments = threading.Event(), []

        def answer(connection):
            ready.wait(LIMIT)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n"
            moments.append(time.monotonic_ns())
            connection.sendall(
                head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(PLAYLIST) + PLAYLIST
            )

        upstream = Upstream(answer)
        target = upstream.target("/live.m3u8?_HLS_msn=14&_HLS_part=0")
        load = start_load(bench, "wake", server.port, target, bench.options.viewers)
        load.stdout.readline()
        time.sleep(2)  # until all requests are waiting
        with measure.CpuMeter(server.pids) as meter:
            ready.set()
            done = result_of(load)
        upstream.listener.close()
        first, last = ((done[name] - moments[0]) / 1e6 for name in ("first_ns", "last_ns"))
        return first, last, meter.total * 1e3, upstream.requests

    def warm_up(self, bench, server):
        self.measure(bench, server)


class Follow:
    """A body that arrives slowly: how long each piece of it takes to each of ten clients."""

    unit, better, columns = "µs, 99th percentile", "lower", ("p99", "p50", "max")
    servers = ("direct", "streamgate", "streamgate cache")

    def __init__(self, name, title):
        self.name, self.title = name, title

    def measure(self, bench, server):
        padding = bytes(PIECE - 8)

        def answer(connection):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % (PIECE * PIECES))
            for _ in range(PIECES):
                time.sleep(PAUSE)
                connection.sendall(struct.pack("=q", time.monotonic_ns()) + padding)

        upstream = Upstream(answer)
        port, target = server.port, upstream.target(f"/{time.monotonic_ns()}.ts")
        if server.name == "direct":
            port, target = upstream.port, "/a.ts"
        done = result_of(start_load(bench, "follow", port, target, 10))
        upstream.listener.close()
        return done["p99"], done["p50"], done["max"]

    def warm_up(self, bench, server):
        pass
