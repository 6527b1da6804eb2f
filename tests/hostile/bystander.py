"""A well-behaved client, its upstream and its name server, each in a process of its own.

The bystander sends small requests one after the other, on new and on kept connections, and watches
paced streams. Its processes get a higher priority than the attackers, where that is allowed: the
table is about the service, not about the scheduling of Python on two cores.
"""

import contextlib
import gc
import multiprocessing
import os
import threading
import time

from harness import stream_path
from http_client import BadAnswer, Client
from name_server import NameServer, Zone
from upstream import Answer, Upstream, ok

FORK = multiprocessing.get_context("fork")
PACE = 0.02  # seconds between two blocks of a paced stream
BLOCK = b"400\r\n" + b"b" * 1024 + b"\r\n"
REQUEST_PAUSE = 0.005
HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nTransfer-Encoding: chunked\r\n\r\n"


END_OF_A_PROCESS = 0.3  # seconds; the kernel needs 0.1 to 0.15 to end a killed worker
IDLE = 20  # below nice 19: the process runs only while no other one wants its CPU (SCHED_IDLE)


def set_priority(nice):
    with contextlib.suppress(OSError):
        if nice == IDLE:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, 0, nice)


class Child:
    """A process that runs `function(connection, *arguments)`; the other end is `connection`."""

    def __init__(self, function, *arguments, nice=0):
        self.connection, theirs = FORK.Pipe()

        def run():
            self.connection.close()  # so that the end of the parent ends the child
            set_priority(nice)
            # With the request heads of half an hour, a collection stops the upstream for 0.5 s.
            gc.disable()
            function(theirs, *arguments)

        self.process = FORK.Process(target=run, daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, message, timeout=60):
        self.connection.send(message)
        return self.receive(timeout)

    def receive(self, timeout=60):
        if not self.connection.poll(timeout):
            raise AssertionError(f"a process of the test is silent for {timeout} s")
        return self.connection.recv()

    def end(self):
        self.process.kill()
        self.process.join()
        self.connection.close()


def serve_origin(connection):
    """The bystander's upstream: small answers, and the paced streams."""
    small = ok(b"s" * 1000, content_type="video/mp2t")

    def blocks():
        due = time.monotonic()
        while True:
            yield BLOCK
            due += PACE
            time.sleep(max(0.0, due - time.monotonic()))

    up = Upstream(lambda r: Answer(HEADER, body=blocks) if r.path == "/paced" else small)
    connection.send(up.port)
    connection.recv()


def watch_machine(connection):
    """Answers each message with the longest delay of a sleeping process, in seconds, since the
    previous message. The process has a scheduling group of its own with the highest priority and
    sleeps nearly always, so only the machine delays it, not the load of the measurement."""
    os.setsid()
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
        file.write("-20")
    set_priority(-20)
    longest, pause = 0.0, 0.005
    while True:
        begun = time.monotonic()
        if connection.poll(pause):
            connection.recv()
            connection.send(longest)
            longest = 0.0
            continue
        longest = max(longest, time.monotonic() - begun - pause)


def serve_names(connection):
    """A name server that knows `known.test` and is silent about all other names. It answers each
    message with the number of silent names that it was asked for."""

    def answer(question):
        if question.name.endswith("known.test"):
            return Zone(v4=["127.0.0.1"], ttl=2)(question)
        return None

    names = NameServer(answer)
    connection.send(names.line)
    while connection.recv():
        connection.send(len({q.name for q in list(names.questions) if "silent" in q.name}))


class Bystander:
    def __init__(self, front, origin, streams):
        self.front, self.origin = front, origin
        self.kept = None
        self.lock = threading.Lock()
        self.ports = [0] * streams
        self.last = [0.0] * streams  # the last byte of each stream
        self.clear()
        threading.Thread(target=self.watch_upstream, daemon=True).start()
        for number in range(streams):
            threading.Thread(target=self.watch, args=[number], daemon=True).start()
        threading.Thread(target=self.request, daemon=True).start()

    def clear(self):
        with self.lock:
            self.times, self.failures, self.cuts, self.gap, self.blocks = [], [], [], 0.0, 0
            self.upstream_gap = 0.0
            self.last = [max(each, time.monotonic()) if each else 0.0 for each in self.last]

    def once(self, on_a_new_connection):
        path = stream_path(self.origin + "/small.ts")
        if on_a_new_connection:
            with Client(self.front) as client:
                client.request(path, [("Connection", "close")])
                return client.read_response()
        # An idle connection may be closed at any time; then a client tries again with a new one.
        for _ in range(2):
            fresh = self.kept is None
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.kept = self.kept or Client(self.front)
                self.kept.request(path)
                response = self.kept.read_response()
                if response is not None:
                    if response["Connection"] == "close":
                        self.drop()
                    return response
            self.drop()
            if fresh:
                break
        return None

    def drop(self):
        if self.kept:
            self.kept.close()
        self.kept = None

    def request(self):
        number = 0
        while True:
            number += 1
            begun, failure = time.monotonic(), None
            try:
                response = self.once(number % 2)
                if response is None or response.status != 200 or not response.complete:
                    failure = repr(response)[:200]
            except (OSError, BadAnswer) as error:
                failure = repr(error)
                self.drop()
            with self.lock:
                self.times.append(time.monotonic() - begun)
                if failure:
                    self.failures.append(failure)
            time.sleep(REQUEST_PAUSE)

    def watch(self, number):
        while True:
            with contextlib.suppress(OSError, BadAnswer):
                self.watch_one(number)
            self.last[number] = 0.0
            time.sleep(0.05)

    def watch_upstream(self):
        """A stream that does not go through the service. Its silences are those of the test."""
        with Client(("127.0.0.1", int(self.origin.rpartition(":")[2]))) as client:
            client.request("/paced")
            client.read_head()
            last = time.monotonic()
            while client.receive_more():
                client.pending = b""
                now = time.monotonic()
                with self.lock:
                    self.upstream_gap = max(self.upstream_gap, now - last)
                last = now

    def watch_one(self, number):
        with Client(self.front) as client:
            self.ports[number] = client.socket.getsockname()[1]
            client.request(stream_path(self.origin + "/paced"))
            response = client.read_head()
            if response is None or response.status != 200:
                with self.lock:
                    self.failures.append(f"stream: {response!r}"[:200])
                return
            self.last[number] = time.monotonic()
            while True:
                client.pending = b""
                more = client.receive_more()
                now = time.monotonic()
                with self.lock:
                    if more or now - self.last[number] > END_OF_A_PROCESS:
                        self.gap = max(self.gap, now - self.last[number])
                    if not more:
                        self.cuts.append(self.ports[number])
                        return
                    self.blocks += 1
                self.last[number] = now

    def result(self):
        with self.lock:
            now, times = time.monotonic(), sorted(self.times)
            gaps = [self.gap, *(now - each for each in self.last if each)]
            return {
                "requests": len(times),
                "p50": 1000 * times[len(times) // 2],
                "p99": 1000 * times[len(times) * 99 // 100],
                "max": 1000 * times[-1],
                "failures": self.failures[:],
                "cuts": self.cuts[:],
                "gap": max(gaps),
                "upstream_gap": self.upstream_gap,
                "blocks": self.blocks,
            }


def run_bystander(connection, front, origin, streams):
    """Answers `clear`, `result` and `ports`."""
    bystander = Bystander(front, origin, streams)
    while True:
        order = connection.recv()
        if order == "clear":
            connection.send(bystander.clear())
        elif order == "result":
            connection.send(bystander.result())
        else:
            connection.send(list(bystander.ports))


def owner_of(port, service_port, workers):
    """The worker that holds the client connection from `port`."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    ends = (f":{service_port:04X}", f":{port:04X}")
    inodes = {r[9] for r in rows if r[1].endswith(ends[0]) and r[2].endswith(ends[1])}
    for pid in workers:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    link = os.readlink(f"/proc/{pid}/fd/{name}")
                    if link.startswith("socket:[") and link[8:-1] in inodes:
                        return pid
    return None
