"""Repeated reloads and upgrades under load, over plain connections and over TLS: no request is
lost, no stream is cut, no counter goes backwards, no descriptor leaks.

STREAMGATE_SOAK_RELOADS (10) and STREAMGATE_SOAK_UPGRADES (2) are the numbers of steps. The upgrades
are spread among the reloads, and all steps over STREAMGATE_SOAK_SECONDS (0: without a pause), which
is also the length of the paced streams. tests/soak.sh runs the long form.
"""

import hashlib
import os
import re
import ssl
import tempfile
import threading
import time

from certificates import Authority
from harness import BINARY, ProxyTest, main, stream_path, streamgate, wait_until
from http_client import Client
from programs import NEXT, put
from upstream import Answer, ok, playlist

RELOADS = int(os.environ.get("STREAMGATE_SOAK_RELOADS", "10"))
UPGRADES = int(os.environ.get("STREAMGATE_SOAK_UPGRADES", "2"))
SECONDS = float(os.environ.get("STREAMGATE_SOAK_SECONDS", "0"))
PROGRAMS = os.environ.get("STREAMGATE_SOAK_PROGRAMS", f"{NEXT}:{BINARY}").split(":")  # alternating
SEGMENT = bytes(range(256)) * 256
SEGMENT_ANSWER = ok(SEGMENT).data  # shared: the upstream keeps every answer
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + "".join(
    f"#EXTINF:4,\nsegment-{i}.ts\n" for i in range(50)
)
BLOCK = hashlib.sha256(b"block").digest() * 32


class Load:
    """Clients that send requests until stop(), and their failures."""

    def __init__(self, up, doors):
        self.up, self.doors = up, doors
        self.over = threading.Event()
        self.failures, self.served = [], 0
        self.threads = []

    def start(self, client, *arguments):
        """Starts one client for each door: an address, and the SSLContext for it or None."""

        def guarded(door):
            try:
                client(door, *arguments)
            except Exception as error:  # pylint: disable=broad-exception-caught
                self.failures.append((client.__name__, door, repr(error)))

        for door in self.doors:
            self.threads.append(threading.Thread(target=guarded, args=[door]))
            self.threads[-1].start()

    @staticmethod
    def connect(door):
        address, tls = door
        return Client(address, tls=tls)

    def check(self, name, response, path):
        good = response is not None and response.status == 200 and response.complete
        if not good or (path == "/segment.ts" and response.body != SEGMENT):
            self.failures.append((name, response))
        self.served += 1

    def keep_alive(self, door, pause):
        """Uses each connection until an answer has Connection: close."""
        while not self.over.is_set():
            with self.connect(door) as client:
                kept = True
                while kept and not self.over.wait(pause):
                    client.request(stream_path(self.up.url("/segment.ts")))
                    response = client.read_response()
                    self.check("keep_alive", response, "/segment.ts")
                    kept = response is not None and response["Connection"] != "close"

    def new_connections(self, door, path):
        while not self.over.wait(0.005):
            with self.connect(door) as client:
                client.request(stream_path(self.up.url(path)), [("Connection", "close")])
                self.check("new_connections", client.read_response(), path)

    def paced(self, door, started):
        """One stream for the whole test; its bytes are compared with those sent."""
        response = None
        with self.connect(door) as client:
            client.request(stream_path(self.up.url("/paced.ts")))
            started.release()
            response = client.read_response()
        length, body = len(response.body), hashlib.sha256()
        for _ in range(length // len(BLOCK)):
            body.update(BLOCK)
        if (
            not response.complete
            or length == 0
            or hashlib.sha256(response.body).digest() != (body.digest())
        ):
            self.failures.append(("paced", response))

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                self.failures.append(("stop", "a client did not end within 30 s"))


def growth(pid):
    """The open files and the resident KiB of a process."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        resident = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
    return len(os.listdir(f"/proc/{pid}/fd")), resident


class ReloadsUnderLoad(ProxyTest):
    segment = ok(SEGMENT)  # shared: the upstream keeps every answer

    def answer(self, request):
        if "playlist" in request.target:
            return playlist(PLAYLIST)
        if "paced" not in request.target:
            return self.segment

        def blocks():
            while not self.load.over.is_set():
                yield b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
                time.sleep(0.02)  # the pace of the stream
            yield b"0\r\n\r\n"

        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return Answer(head, body=blocks)

    def totals(self):
        text = streamgate("-c", self.proxy_.config_file, "-s", "status").stdout
        line = next(line for line in text.split("\n") if line.startswith("total "))
        return dict(
            (name, int(value)) for name, value in (f.split("=") for f in line.split(" ")[1:])
        )

    def reload(self):
        before = self.totals()
        done = streamgate("-c", self.proxy_.config_file, "-s", "reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        after = self.totals()
        self.assertEqual({n: v for n, v in before.items() if after[n] < v}, {}, "counted backwards")

    def addresses(self):
        bound = [event["address"] for event in self.proxy_.events_named("listener.bound")]
        return [(host, int(port)) for host, _, port in (each.rpartition(":") for each in bound)]

    def upgrade(self, number):
        put(PROGRAMS[number % len(PROGRAMS)], self.program)
        self.reload()
        self.assertEqual(len(self.proxy_.events_named("upgrade.done")), number + 1)

    def check_growth(self, files, resident):
        """Checks files and memory of the master after the old workers have exited."""
        proxy = self.proxy_
        wait_until(lambda: len(proxy.workers()) == 2, 30, "the old workers to exit")
        # The master opens the status file from time to time.
        wait_until(lambda: growth(proxy.process.pid)[0] <= files, 5, f"no more than {files} files")
        now_resident = growth(proxy.process.pid)[1]
        print(f"{self.load.served} requests; master: {resident} -> {now_resident} KiB", end=" ")
        self.assertLess(now_resident, resident + 4096)

    def test_reloads_and_upgrades_in_a_row_lose_nothing(self):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        up = self.upstream(self.answer)
        self.program = folder.name + "/streamgate"
        put(BINARY, self.program)
        authority = Authority(folder.name)
        certificate, key = authority.issue_files("IP:127.0.0.1")
        secure = {"address": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key}}
        settings = {"pid_file": folder.name + "/pid", "workers": 2, "drain": {"idle": "5s"}}
        settings["listen"] = ["127.0.0.1:0", secure]
        self.proxy_ = proxy = self.own_proxy(settings, binary=self.program)
        contexts = [None, ssl.create_default_context(cafile=authority.certificate)]
        self.load = load = Load(up, list(zip(self.addresses(), contexts)))
        self.addCleanup(load.stop)
        started = threading.Semaphore(0)
        load.start(load.paced, started)
        for _ in load.doors:
            self.assertTrue(started.acquire(timeout=10))
        for pause in (0.002, 0.5):
            load.start(load.keep_alive, pause)
        for path in ("/segment.ts", "/playlist.m3u8"):
            load.start(load.new_connections, path)
        steps = ["reload"] * RELOADS
        for i in range(UPGRADES):
            steps.insert((i + 1) * len(steps) // (UPGRADES + 1), "upgrade")
        upgrades, quiet, files, resident = 0, 0, None, None
        began = time.monotonic()
        for i, step in enumerate(steps):
            time.sleep(max(0.0, began + SECONDS * i / len(steps) - time.monotonic()))
            if step == "upgrade":
                self.upgrade(upgrades)
                upgrades, quiet = upgrades + 1, 0
            else:
                self.reload()
                quiet += 1
            # The first reloads of a program fill its caches, so growth counts from the third.
            if quiet == 3:
                files_now, resident = growth(proxy.process.pid)
                files = files or files_now
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.served, 10 * len(steps))
        self.check_growth(files, resident)


if __name__ == "__main__":
    main()
