"""Sends mutated bytes to a running streamgate, as a client and as an upstream, and checks that no
worker dies, that no sanitizer reports, and that a well-behaved client is served all the time.

    live.py [--seconds N] [--runs N] [--seed N]

It runs in a network namespace of its own, because a mutated URL may name any host.

A run is one client connection: mutated requests, some behind a PROXY header, or a request whose
upstream answers with a mutated response. The bytes come from the corpora beside this file.
$STREAMGATE_BINARY names the program, which should have sanitizers. tests/fuzz/live.sh builds one.
"""

import argparse
import multiprocessing
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(HERE, "..", "functional"))

from harness import BINARY, SANITIZER, Proxy, stream_path  # noqa: E402

FORK = multiprocessing.get_context("fork")
PATIENCE = 0.02  # seconds that a run waits for bytes that may never come
TOKENS = [
    b"\r\n", b"\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b'"', b"%00",
    b"%2e%2e/", b"\xff", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Range: bytes=0-\r\n",
    b"Host: a\r\n", b"Upgrade: websocket\r\n", b'Forwarded: for="[::1]:1";proto=https\r\n',
    b"X-Forwarded-For: 1.2.3.4, ::1\r\n", b"Authorization: Bearer a.b.c\r\n",
    b"&sg_token=a.b.c", b"&sg_grant=1.a.1.1.a.a", b"&h_X=1", b"&sg_alt=http://a/",
    b"Content-Encoding: gzip\r\n", b"Content-Type: application/dash+xml\r\n", b"#EXTM3U\n",
    b"<MPD>", b"HTTP/1.1 200 OK\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"HTTP/1.0",
    b"/at/-/http/a/",
]
TYPES = (b"application/vnd.apple.mpegurl", b"application/dash+xml", b"text/html", b"video/mp2t")
CODINGS = (b"", b"", b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n")


def corpus(*names):
    out = []
    for name in names:
        folder = os.path.join(HERE, "corpus", name)
        for file in sorted(os.listdir(folder)):
            with open(os.path.join(folder, file), "rb") as opened:
                out.append(opened.read())
    return out


def mutated(chance, seeds):
    """One of the seeds, changed in a few places."""
    out = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        at = chance.randint(0, len(out))
        kind = chance.randrange(6)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            out[at:at] = chance.choice(TOKENS)
        elif kind == 2:
            del out[at : at + chance.choice((1, 2, 8, 64))]
        elif kind == 3:
            other = chance.choice(seeds)
            begin = chance.randint(0, len(other))
            out[at:] = other[begin:]
        elif kind == 4:
            out[at:at] = out[at : at + chance.choice((1, 16, 300))] * chance.choice((1, 2, 40))
        else:
            out[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
    return bytes(out)


def pieces(chance, data):
    """The data as a network may split it."""
    if chance.random() < 0.7 or not data:
        return [data]
    at = chance.randint(0, len(data))
    return [data[:at], data[at:]]


class Upstream:
    """Answers every request with mutated bytes, in a process of its own."""

    def __init__(self, seed):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.process = FORK.Process(target=self.serve, args=(random.Random(seed),), daemon=True)
        self.process.start()

    def serve(self, chance):
        # The first byte of these corpora chooses a setting.
        answers = [text[1:] for text in corpus("response")]
        names = ("playlist", "mpd", "json", "decoder", "transport_stream")
        bodies = [text[1:] for text in corpus(*names)]
        open_connections = []
        while True:
            readable, _, _ = select.select([self.listener, *open_connections], [], [])
            for each in readable:
                if each is self.listener:
                    open_connections.append(each.accept()[0])
                    continue
                try:
                    received = each.recv(65536)
                    if received:
                        answer = mutated(chance, answers)
                        if chance.random() < 0.6:
                            answer = self.with_body(chance, mutated(chance, bodies))
                        for piece in pieces(chance, answer):
                            each.sendall(piece)
                except OSError:
                    received = b""
                if not received or chance.random() < 0.7:
                    open_connections.remove(each)
                    each.close()

    @staticmethod
    def with_body(chance, body):
        content_type = chance.choice(TYPES)
        coding = chance.choice(CODINGS)
        length = chance.choice((b"", b"Content-Length: %d\r\n" % len(body)))
        return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s%s\r\n%s" % (
            content_type, coding, length, body,
        )


class Client:
    def __init__(self, seed, ports, upstream_port):
        self.chance = random.Random(seed)
        self.ports, self.upstream_port = ports, upstream_port
        self.requests = corpus("request_head")
        for target in corpus("stream_request"):
            self.requests.append(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        self.headers = corpus("proxy_header")

    def run(self):
        chance = self.chance
        port = self.ports[0]
        data = b"".join(mutated(chance, self.requests) for _ in range(chance.choice((1, 1, 2, 4))))
        kind = chance.randrange(3)
        if kind == 1:
            port, data = self.ports[1], mutated(chance, self.headers) + data
        elif kind == 2:
            url = f"http://127.0.0.1:{self.upstream_port}/{chance.randrange(64)}.m3u8"
            request = f"GET {stream_path(url)} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            data = mutated(chance, [request]) if chance.random() < 0.3 else request
        try:
            self.send(port, data)
        except OSError:
            pass  # it waits for more bytes, or has been reset

    def send(self, port, data):
        chance = self.chance
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(PATIENCE)
            if chance.random() < 0.3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for piece in pieces(chance, data):
                client.sendall(piece)
            if chance.random() < 0.5:
                client.shutdown(socket.SHUT_WR)
            while client.recv(65536) and chance.random() < 0.9:
                pass


def attack(seed, ports, upstream_port, runs, over):
    client = Client(seed, ports, upstream_port)
    while not over.is_set():
        client.run()
        with runs.get_lock():
            runs.value += 1


def start():
    """The proxy and the ports of its two listeners."""
    proxy = Proxy(
        {
            "listen": ["127.0.0.1:0", {"address": "127.0.0.1:0", "proxy_protocol": True}],
            "workers": 2,
            "trusted_proxies": ["127.0.0.0/8"],
            "cache": {"memory": "64MiB"},
            "upstream": {"first_byte_timeout": "2s", "resume_attempts": 1},
            "log": {"access": "/dev/null"},
        }
    )
    bound = [e for e in proxy.events() if e["event"] == "listener.bound"]
    return proxy, [int(e["address"].rpartition(":")[2]) for e in bound]


def watch(proxy, runs, children, options):
    """Returns the problems."""
    end = time.monotonic() + options.seconds
    while time.monotonic() < end and not 0 < options.runs <= runs.value:
        time.sleep(0.5)
        began = time.monotonic()
        if not proxy.is_serving():
            return ["a well-behaved client is not served"]
        if time.monotonic() - began > 5:
            return ["a well-behaved client waited for more than 5 s"]
        if not all(child.is_alive() for child in children):
            return ["a process of the test has died"]
    found = SANITIZER.search(proxy.log())
    problems = [f"sanitizer: {found.group(0)}"] if found else []
    return problems + [str(event) for event in proxy.events_named("worker.died")]


def enter_namespace():
    """Runs this program again in a network that has only loopback. Exit status 77: not allowed."""
    flags = ["--net"] if os.geteuid() == 0 else ["--net", "--map-root-user"]
    tried = subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        print("SKIPPED: this user may not make a network namespace")
        sys.exit(77)
    script = 'ip link set lo up && exec "$@"'
    environment = {**os.environ, "STREAMGATE_FUZZ_NETWORK": "own"}
    command = ["unshare", *flags, "sh", "-c", script, "sh", sys.executable, "-B", *sys.argv]
    os.execvpe("unshare", command, environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--runs", type=int, default=0, help="0: until the time is over")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if not BINARY or not os.access(BINARY, os.X_OK):
        sys.exit("set STREAMGATE_BINARY to the streamgate to test")
    if os.environ.pop("STREAMGATE_FUZZ_NETWORK", "") != "own":
        enter_namespace()
    print(f"seed {options.seed}", flush=True)
    proxy, ports = start()
    upstream = Upstream(options.seed)
    runs, over = FORK.Value("Q", 0), FORK.Event()
    shared = (ports, upstream.port, runs, over)
    attackers = [
        FORK.Process(target=attack, args=(options.seed + i, *shared), daemon=True)
        for i in range(1, 5)
    ]
    for attacker in attackers:
        attacker.start()
    try:
        problems = watch(proxy, runs, [*attackers, upstream.process], options)
    finally:
        over.set()
        for attacker in attackers:
            attacker.join(5)
        upstream.process.terminate()
    print(f"{runs.value} runs, {len(problems)} problems", *problems, sep="\n", flush=True)
    proxy.stop_and_check()
    proxy.remove()
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
