"""The attackers. Each runs in a process of its own until `stop` is set, and returns its counts,
which show that the attack took place.
"""

import contextlib
import gzip
import os
import select
import socket
import struct
import threading
import time

from harness import closed_port, stream_path
from http_client import BadAnswer, Client
from upstream import Answer, Upstream, ok, redirect, status

# 2 KB: a million short references, each of which grows to a link of more than 1 KiB.
BOMB = gzip.compress(b"#EXTM3U\n" + b"a\n" * 1_000_000, 9)
# 600 KB, which grow to 4 MB: each reference becomes a link.
ASSETS = b'{"ASSETS":[' + b'{"URI":"a"},' * 50_000 + b"{}]}"
REFERER = "http://page.example/" + "r" * 1000
HEALTH = b"GET /health HTTP/1.1\r\nHost: a.test\r\n\r\n"


def is_open(connection):
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    return not poller.poll(0)


def in_threads(count, client, stop):
    """Runs `client()` again and again in each of `count` threads."""

    def repeat():
        while not stop.is_set():
            try:
                client()
            except (OSError, BadAnswer):
                time.sleep(0.05)

    threads = [threading.Thread(target=repeat, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(5)


def loop(front, stop):
    """An upstream redirects to another address of the service, as a NAT in front of it has."""
    again = f"http://127.0.0.3:{front[1]}"
    up = Upstream(lambda _: redirect(again + stream_path(up.url("/again"))))
    counts = {"requests": 0, "508": 0}

    def client():
        with Client(front) as connection:
            connection.request(stream_path(up.url("/a")), [("Connection", "close")])
            response = connection.read_response()
        counts["requests"] += 1
        counts["508"] += response is not None and response.status == 508

    in_threads(4, client, stop)
    counts["at the upstream"] = len(up.requests)
    return counts


def bombs(front, stop, clients=80):
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: " + str(len(BOMB)).encode() + b"\r\n\r\n"
    )
    up = Upstream(lambda _: Answer(head + BOMB))
    stalled, begun = [], 0
    for _ in range(clients):
        stalled.append(Client(front, receive_buffer=4096))
        stalled[-1].request(stream_path(up.url("/a.m3u8"), referer=REFERER))
    for client in stalled:
        begun += client.read_head() is not None and client.receive_more()
    stop.wait()
    return {"bombs": len(up.requests), "begun": begun, "bytes of a bomb": len(BOMB)}


def documents(front, stop):
    """Documents that are held until their end, and then compressed."""
    up = Upstream(lambda _: ok(ASSETS, content_type="application/json"))
    target = stream_path(up.url("/a.json"), sg_k="assets")
    counts = {"documents": 0}

    def client():
        with Client(front) as connection:
            connection.request(target, [("Connection", "close"), ("Accept-Encoding", "gzip")])
            response = connection.read_response()
        counts["documents"] += response is not None and response.status == 200

    in_threads(8, client, stop)
    return counts


def long_lines(front, stop):
    """Requests whose access-log lines have 3 KB each."""
    target = stream_path(f"http://127.0.0.1:{closed_port()}/" + "x" * 3000)
    counts = {"lines": 0}

    def client():
        with Client(front) as connection:
            connection.request(target, [("Connection", "close")])
            counts["lines"] += connection.read_response() is not None
        time.sleep(0.002)

    in_threads(2, client, stop)
    counts["logged bytes"] = counts["lines"] * 3000
    return counts


def names(front, stop, each=30, pause=1.0):
    """Names whose servers are silent, from 100 addresses. An answered client asks for another name
    after `pause` seconds."""
    asked, waiting, later = 0, {}, []
    poller = select.poll()

    def ask(source):
        nonlocal asked
        asked += 1
        connection = socket.create_connection(front, 10, (source, 0))
        target = stream_path(f"http://silent{asked}.test/a")
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        poller.register(connection, select.POLLIN)
        waiting[connection.fileno()] = connection, source

    for number in range(100 * each):
        ask(f"127.0.1.{1 + number % 100}")
    most = len(waiting)
    while not stop.is_set():
        for descriptor, _ in poller.poll(50):
            connection, source = waiting.pop(descriptor)
            poller.unregister(descriptor)
            connection.close()
            later.append((time.monotonic() + pause, source))
        while later and later[0][0] <= time.monotonic():
            ask(later.pop(0)[1])
    return {"names": asked, "at once": most}


class Crowd:
    """`size` connections that send `data`; closed ones are replaced, a few hundred a second."""

    def __init__(self, front, size, data=b""):
        self.front, self.size, self.data = front, size, data
        self.members, self.opened, self.answered, self.closed = [], 0, 0, 0

    def open_one(self):
        with contextlib.suppress(OSError):
            connection = socket.create_connection(self.front, 5)
            self.members.append(connection)
            self.opened += 1
            if self.data:
                connection.sendall(self.data)
                connection.settimeout(5)
                self.answered += connection.recv(4096).startswith(b"HTTP/1.1 200 ")

    def sweep(self):
        """Forgets the closed ones, and returns how many are open."""
        still = [connection for connection in self.members if is_open(connection)]
        for connection in set(self.members) - set(still):
            connection.close()
        self.closed += len(self.members) - len(still)
        self.members = still
        return len(still)

    def run(self, stop):
        for _ in range(self.size):
            self.open_one()
        most = 0
        while not stop.wait(0.5):
            now = self.sweep()
            most = max(most, now)
            for _ in range(min(200, self.size - now)):
                self.open_one()
        return {"opened": self.opened, "open": most, "closed by us": self.closed}


def flood(front, stop, size=4000):
    return Crowd(front, size).run(stop)


def many_idle(front, stop):
    return flood(front, stop, 12_000)


def idle_keep_alive(front, stop, size=1500):
    crowd = Crowd(front, size, HEALTH)
    return {**crowd.run(stop), "answered": crowd.answered}


def slow_heads(front, stop, size=1000):
    """Heads of which a byte comes every half second."""
    crowd, sent, places = Crowd(front, size), 0, {}
    head = b"GET /health HTTP/1.1\r\nHost: a.test\r\nX-Slow: " + b"s" * 2000
    while not stop.is_set():
        crowd.sweep()
        while len(crowd.members) < size and not stop.is_set():
            crowd.open_one()
        for connection in crowd.members:
            place = places.get(connection, 0)
            with contextlib.suppress(OSError):
                sent += connection.send(head[place : place + 1])
                places[connection] = place + 1
        stop.wait(0.5)
    return {"opened": crowd.opened, "open": crowd.sweep(), "bytes": sent}


def tcp_memory():
    """The bytes that the kernel holds for all TCP sockets of the machine."""
    with open("/proc/net/sockstat", encoding="ascii") as file:
        words = next(line for line in file if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGESIZE")


def stalled_viewers(front, stop, viewers=300):
    """Viewers of a large body that read no byte of it."""
    piece, before = b"v" * 65536, tcp_memory()
    size = 1 << 30

    def body():
        for _ in range(size // len(piece)):
            yield piece

    head = f"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {size}\r\n\r\n".encode()
    up = Upstream(lambda _: Answer(head, body=body))
    held = []
    for _ in range(viewers):
        held.append(Client(front, receive_buffer=4096))
        held[-1].request(stream_path(up.url("/film.mp4")))
    started = sum(client.read_head() is not None for client in held)
    most = 0
    while not stop.wait(0.2):
        most = max(most, tcp_memory())
    sent = sum(answer.sent for answer in up.answers) >> 20
    return {"viewers": started, "MiB sent": sent, "TCP MiB": (most - before) >> 20}


def ask_again_and_again(front, stop, target, connections, pause=0.0, batch=1):
    """Asks on `connections` kept connections of one client until they get a 200, `batch` requests
    at a time. Returns the answers with 200 and how many others came."""
    poller, open_now, later, awaited = select.poll(), {}, [], {}
    request = f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode() * batch
    served, refused = 0, 0

    def open_one():
        with contextlib.suppress(OSError):
            connection = socket.create_connection(front, 10, ("127.0.2.1", 0))
            connection.sendall(request)
            poller.register(connection, select.POLLIN)
            open_now[connection.fileno()] = connection
            awaited[connection] = batch

    for _ in range(connections):
        open_one()
    while not stop.is_set():
        for descriptor, _ in poller.poll(20):
            connection = open_now[descriptor]
            try:
                answer = connection.recv(65536)
                if answer.startswith(b"HTTP/1.1 200 "):
                    poller.unregister(connection)  # it stays open
                    served += 1
                elif answer:
                    answers = answer.count(b"HTTP/1.1 ")
                    refused += answers
                    awaited[connection] -= answers
                    if awaited[connection] <= 0:
                        awaited[connection] = batch
                        later.append((time.monotonic() + pause, connection))
                    continue
            except OSError:
                answer = b""
            if not answer:
                poller.unregister(connection)
                open_now.pop(descriptor).close()
                open_one()
        while later and later[0][0] <= time.monotonic():
            with contextlib.suppress(OSError):
                later.pop(0)[1].sendall(request)
    return served, refused


def refused_connections(front, stop, places=50):
    """A client that has all the connections that it may have opens more, again and again."""
    source = ("127.0.1.1", 0)
    held = [socket.create_connection(front, 5, source) for _ in range(places)]
    counts = {"opened": 0, "answered": 0}

    def client():
        with (
            contextlib.suppress(OSError),
            socket.create_connection(front, 5, source) as connection,
        ):
            # A reset: the port is free at once.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            counts["opened"] += 1
            connection.sendall(HEALTH)
            counts["answered"] += connection.recv(4096).startswith(b"HTTP/1.1 429 ")

    in_threads(8, client, stop)
    for connection in held:
        connection.close()
    return counts


def too_many_streams(front, stop, places=20):
    """One client wants ten times as many streams as it may have."""
    held = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 1000000\r\n\r\nfirst"
    up = Upstream(lambda _: Answer(head, body=lambda: [b"later"], wait=held))
    target = stream_path(up.url("/film.mp4"))
    served, refused = ask_again_and_again(front, stop, target, 10 * places, pause=0.05)
    held.set()
    return {"streams": served, "refused": refused}


def too_many_requests(front, stop, connections=50, batch=40):
    """One client sends far more requests than it may send in a second: more are always waiting."""
    up = Upstream(status(404, body=b"x"))
    begun = time.monotonic()
    target = stream_path(up.url("/a.ts"))
    _, answered = ask_again_and_again(front, stop, target, connections, batch=batch)
    seconds = time.monotonic() - begun
    admitted = len(up.requests) / seconds
    return {
        "waiting": connections * batch,
        "a second": int(answered / seconds),
        "admitted a second": int(admitted),
    }
