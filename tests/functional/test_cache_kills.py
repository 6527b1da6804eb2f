"""Workers are killed at random under load, and every byte that a client gets is compared.

STREAMGATE_KILLS (12) is the number of kills. A worker that dies cuts its own clients; those of the
others get every byte, once, in order, unless four workers in a row die that fetch the answer. After three early deaths the place of a worker stays empty
for a while, so reloads bring new generations in between.
"""

import os
import random
import signal
import struct
import threading
import time

from harness import ProxyTest, main, stream_path, wait_until
from http_client import Client
from upstream import Answer

KILLS = int(os.environ.get("STREAMGATE_KILLS", "12"))
WORKERS = 6
BODIES = [random.Random(n).randbytes(random.Random(n).randrange(1000, 1_500_000)) for n in range(8)]
PIECE = 128 * 1024
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\n{}\r\n"
PACKET = 188
RATE = 400  # packets of a channel in a second
DEATHS = 4  # of owners, after which an answer is given up: kMaxJoins


def packet(number):
    """A packet of MPEG-TS whose every byte tells its number."""
    eight = struct.pack("!Q", number)
    return (b"\x47\x1f\xff\x10" + eight * 23)[:PACKET]


class Service:
    """The upstream: bodies that arrive in pieces, and channels without an end."""

    def __init__(self):
        self.began = time.monotonic()
        self.over = threading.Event()
        self.requests = {"file": 0, "live": 0}

    def __call__(self, request):
        kind, number = request.path.strip("/").split("/")
        self.requests[kind] += 1
        return self.file(int(number)) if kind == "file" else self.live()

    @staticmethod
    def file(number):
        body = BODIES[number]
        fields = f'Content-Length: {len(body)}\r\nETag: "{number}"\r\nCache-Control: max-age=1\r\n'

        def pieces():
            for at in range(0, len(body), PIECE):
                time.sleep(0.02)
                yield body[at : at + PIECE]

        return Answer(HEAD.format("video/mp4", fields).encode(), body=pieces)

    def live(self):
        def packets():
            number = self.now()  # a burst of older packets would be a step back of the upstream
            while not self.over.is_set():
                yield b"".join(packet(n) for n in range(number, self.now()))
                number = max(number, self.now())
                time.sleep(0.05)

        head = HEAD.format("video/mp2t", "Connection: close\r\n").encode()
        return Answer(head, "close", body=packets)

    def now(self):
        return 1000 + int((time.monotonic() - self.began) * RATE)


class Clients:
    """Threads that ask for what the service has, and what went wrong."""

    def __init__(self, proxy, up):
        self.proxy, self.up = proxy, up
        self.killed = {}  # when the worker of each port was killed
        self.kills = []  # when a worker was killed
        self.over = threading.Event()
        self.counts = {"whole": 0, "cut": 0, "packets": 0, "refused": 0, "given up": 0}
        self.failures = []
        self.lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self.run, args=[job, seed])
            for job, count in ((self.get_file, 10), (self.watch, 6))
            for seed in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, job, seed):
        source = random.Random(seed)
        while not self.over.is_set():
            try:
                job(source)
            except (OSError, EOFError) as error:
                self.note_failure(job.__name__, repr(error), None, 0)
            except Exception as error:  # pylint: disable=broad-exception-caught
                self.failures.append((job.__name__, repr(error)))
                return

    def count(self, name, more=1):
        with self.lock:
            self.counts[name] += more

    def note_failure(self, job, what, port, began):
        """A connection that a kill has cut is no failure."""
        if port is None:
            return self.count("refused")
        if self.killed.get(port, 0) >= began:
            return self.count("cut")
        if sum(at >= began for at in list(self.kills)) >= DEATHS:
            return self.count("given up")
        # The kill is noted just before the connection breaks.
        self.failures.append((job, what, port))
        return None

    def connect(self):
        client = Client((self.proxy.host, self.proxy.port), timeout=30)
        return client, client.socket.getsockname()[1]

    def get_file(self, source):
        number = source.randrange(len(BODIES))
        began = time.monotonic()
        client, port = self.connect()
        with client:
            try:
                client.request(stream_path(self.up.url(f"/file/{number}")))
                response = client.read_response()
            except (OSError, EOFError, AssertionError) as error:
                return self.note_failure("get_file", repr(error), port, began)
        body = BODIES[number]
        if response is None or not response.complete or response.status != 200:
            if response is not None and not body.startswith(response.body[:1]):
                self.failures.append(("get_file", "wrong bytes", response.status))
            return self.note_failure("get_file", repr(response), port, began)
        if response.body != body:
            self.failures.append(("get_file", "another body", number, len(response.body)))
        return self.count("whole")

    def watch(self, source):
        began = time.monotonic()
        end = began + source.uniform(1, 6)
        client, port = self.connect()
        last = 0
        with client:
            try:
                target = stream_path(self.up.url(f"/live/{source.randrange(2)}"))
                client.request(target, version="1.0")
                head = client.read_head()
                if head is None or head.status != 200:
                    return self.note_failure("watch", repr(head), port, began)
                while time.monotonic() < end and not self.over.is_set():
                    if not client.receive_more():
                        return self.note_failure("watch", "an end", port, began)
                    last = self.check(client, last)
            except (OSError, EOFError, AssertionError) as error:
                return self.note_failure("watch", repr(error), port, began)
        return None

    def check(self, client, last):
        """Whole packets that only go forward."""
        whole = len(client.pending) // PACKET * PACKET
        for at in range(0, whole, PACKET):
            piece = client.pending[at : at + PACKET]
            number = struct.unpack("!Q", piece[4:12])[0]
            if piece != packet(number):
                self.failures.append(("watch", "a wrong packet", piece[:20]))
            if number <= last:
                self.failures.append(("watch", "a step back", last, number))
            last = number
        client.pending = client.pending[whole:]
        self.count("packets", whole // PACKET)
        return last

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def title_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def ports_of(pid, port):
    """The remote ports of the TCP connections of that process to `port`."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == port and fields[9] in inodes:
                found.append(int(fields[2].split(":")[1], 16))
    return found


class Kills(ProxyTest):
    settings = {
        "workers": WORKERS,
        "cache": {"memory": "48MiB", "object_size": "4MiB", "live_window": "1MiB"},
        "log": {"access": "off"},
    }

    def workers(self, proxy):
        """Those that have begun, not the process that checks the configuration of a reload."""
        return [pid for pid in proxy.workers() if b"streamgate: worker" in title_of(pid)]

    def kill_one(self, proxy, source, clients):
        pid = source.choice(self.workers(proxy))
        try:
            os.kill(pid, signal.SIGSTOP)
            for port in ports_of(pid, proxy.port):
                clients.killed[port] = time.monotonic()
            clients.kills.append(time.monotonic())
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            return False
        return True

    def test_no_client_of_another_worker_loses_or_gets_a_wrong_byte(self):
        service, source = Service(), random.Random(1)
        up = self.upstream(service)
        proxy = self.own_proxy()
        clients = Clients(proxy, up)
        self.addCleanup(service.over.set)
        self.addCleanup(clients.stop)
        kills = reloads = kills_before = 0
        while kills < KILLS and not clients.failures:
            time.sleep(source.uniform(0, 0.1))
            is_low = len(self.workers(proxy)) <= WORKERS // 2
            if is_low or kills - kills_before >= 2 * WORKERS:
                reloads, kills_before = reloads + 1, kills
                proxy.reload({})
                wait_until(lambda: len(self.workers(proxy)) >= WORKERS, 30, "new workers")
            kills += self.kill_one(proxy, source, clients)
        time.sleep(2)
        clients.stop()
        service.over.set()
        print({"kills": kills, "reloads": reloads, **clients.counts, **service.requests})
        self.assertEqual(clients.failures, [])
        self.assertGreater(clients.counts["whole"], kills)
        self.assertLess(10 * clients.counts["given up"], clients.counts["whole"])


if __name__ == "__main__":
    main()
