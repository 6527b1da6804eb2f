"""Bodies that are relayed unchanged, spliced or copied: every byte arrives."""

import array
import fcntl
import os
import pwd
import random
import re
import subprocess
import sys
import tempfile
import termios
import threading
import time

from harness import ProxyTest, main, stream_path, streamgate, wait_until, wait_until_stopped
from upstream import Answer, chunked, ok

MIB = 1 << 20
# Allocates pipes until the kernel gives this user only the smallest (pipe-user-pages-soft).
HOG = """
import fcntl, os, sys
if len(sys.argv) > 1: os.setuid(int(sys.argv[1]))
pipes = []
while True:
    pipes.append(os.pipe())
    try:
        fcntl.fcntl(pipes[-1][1], 1031, 1 << 20)  # F_SETPIPE_SZ
    except PermissionError:
        if fcntl.fcntl(pipes[-1][1], 1032) < 65536: break  # F_GETPIPE_SZ
print("none left", flush=True)
sys.stdin.read()
"""
CONTENT = random.Random(7).randbytes(5_000_011)


def length_head(length, extra=""):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{extra}\r\n".encode()


def in_pieces(content, seed):
    """A generator function that yields `content` in pieces of random sizes."""

    def pieces():
        rng, at = random.Random(seed), 0
        while at < len(content):
            size = rng.choice((1, 1000, 4096, 65_536, 300_000, 1_000_000))
            yield content[at : at + size]
            at += size
            if rng.random() < 0.05:
                time.sleep(0.002)

    return pieces


class RelayTest(ProxyTest):
    def start(self, environment=None, **settings):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-run-")
        self.addCleanup(folder.cleanup)
        settings["pid_file"] = os.path.join(folder.name, "pid")
        return self.own_proxy(settings, environment=environment)

    def total(self, proxy, name):
        text = streamgate("-c", proxy.config_file, "-s", "status").stdout
        found = re.search(rf"\ntotal.* {name}=(\d+)", text)
        return int(found[1]) if found else 0

    def pipes(self, proxy):
        """The number of unread bytes in each pipe of the worker."""
        folder = f"/proc/{proxy.workers()[0]}/fd"
        waiting = []
        for name in os.listdir(folder):
            try:
                if not os.readlink(f"{folder}/{name}").startswith("pipe:"):
                    continue
                fd = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            count = array.array("i", [0])
            fcntl.ioctl(fd, termios.FIONREAD, count)
            os.close(fd)
            waiting.append(count[0])
        return waiting

    def read_slowly(self, client, length, seed):
        """Reads a body in pieces of random sizes, with pauses."""
        rng = random.Random(seed)
        pieces, have = [client.pending], len(client.pending)
        client.pending = b""
        while have < length:
            piece = client.socket.recv(rng.choice((1, 100, 5000, 70_000, 1_000_000)))
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
            if rng.random() < 0.02:
                time.sleep(0.005)
        body = b"".join(pieces)
        client.pending = body[length:]
        return body[:length]


class Spliced(RelayTest):
    def test_a_large_body_is_spliced_and_counted(self):
        proxy = self.start()
        up = self.upstream(ok(CONTENT))
        response = proxy.stream(up.url("/a.bin"))
        self.assertTrue(response.complete and response.body == CONTENT)
        entry = proxy.wait_for_access()
        self.assertEqual((entry["bytes"], entry["reason"]), (str(len(CONTENT)), "ok"))
        spliced = self.total(proxy, "bytes_spliced")
        self.assertGreater(spliced, len(CONTENT) // 2)
        received = self.total(proxy, "bytes_from_upstreams")
        self.assertGreaterEqual(received, len(CONTENT))
        self.assertLess(received, len(CONTENT) + 1000)
        self.assertEqual(self.total(proxy, "bytes_to_clients"), len(CONTENT))

    def test_small_and_chunked_bodies_are_not_spliced(self):
        proxy = self.start()
        for answer in (ok(CONTENT[:200_000]), chunked(CONTENT[:2_000_000], size=50_000)):
            up = self.upstream(answer)
            self.assertTrue(proxy.stream(up.url("/a.bin")).complete)
        self.assertEqual(self.total(proxy, "bytes_spliced"), 0)

    def test_a_close_delimited_body_is_spliced_to_an_http_1_0_client(self):
        proxy = self.start()
        head = b"HTTP/1.1 200 OK\r\n\r\n"
        up = self.upstream(Answer(head, "close", body=in_pieces(CONTENT, 1)))
        response = proxy.stream(up.url("/a.bin"), version="1.0")
        self.assertTrue(response.complete and response.body == CONTENT)
        self.assertGreater(self.total(proxy, "bytes_spliced"), 0)
        up = self.upstream(Answer(head, "reset", body=in_pieces(CONTENT[:MIB], 2)))
        self.assertEqual(proxy.stream(up.url("/a.bin"), version="1.0").ended_by, "reset")

    def test_both_connections_are_kept_after_a_spliced_body(self):
        proxy = self.proxy()
        up = self.upstream(lambda request: ok(CONTENT if request.path == "/a" else b"small"))
        with proxy.connect() as client:
            for path in ("/a", "/b", "/a", "/a"):  # pipelined
                client.request(stream_path(up.url(path)))
            for content in (CONTENT, b"small", CONTENT, CONTENT):
                response = client.read_response()
                self.assertTrue(response.complete and response.body == content)
        self.assertEqual([request.connection for request in up.requests], [0, 0, 0, 0])

    def test_head_and_range_requests_are_relayed(self):
        proxy = self.proxy()

        def ranged(request):
            if request["Range"] is None:
                return Answer(
                    length_head(len(CONTENT)) + (b"" if request.method == "HEAD" else CONTENT)
                )
            place = f"Content-Range: bytes 5-4000004/{len(CONTENT)}"
            head = f"HTTP/1.1 206 P\r\nContent-Length: 4000000\r\n{place}\r\n\r\n"
            return Answer(head.encode() + CONTENT[5:4_000_005])

        up = self.upstream(ranged)
        response = proxy.stream(up.url("/a"), method="HEAD")
        self.assertEqual((response["Content-Length"], response.body), (str(len(CONTENT)), b""))
        response = proxy.stream(up.url("/a"), {"Range": "bytes=5-4000004"})
        self.assertEqual(response.status, 206)
        self.assertTrue(response.body == CONTENT[5:4_000_005])

    def test_surplus_bytes_are_not_the_next_answer(self):
        proxy = self.proxy()
        evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        up = self.upstream([Answer(length_head(len(CONTENT)) + CONTENT + evil), ok(b"good")])
        for content in (CONTENT, b"good"):
            response = proxy.stream(up.url("/a"))
            self.assertTrue(response.complete and response.body == content)

    def test_a_cut_body_ends_the_client_connection_after_what_arrived(self):
        for then in ("close", "reset"):
            up = self.upstream(Answer(length_head(len(CONTENT)) + CONTENT[:3_000_000], then))
            response = self.proxy().stream(up.url("/a"))
            self.assertEqual((response.complete, response.ended_by), (False, "fin"))
            self.assertEqual(CONTENT[: len(response.body)], response.body)

    def converse(self, proxy, count, seed, leave=False):
        """`count` concurrent streams, each sent and read in pieces of its own random sizes."""
        contents = [CONTENT[i * 1000 : 3_000_000 + i * 40_000] for i in range(count)]

        def script(request):
            i = int(request.path[1:])
            kind = i % 3
            body = in_pieces(contents[i], seed + i)
            if kind == 0:
                return Answer(length_head(len(contents[i])), body=body)
            if kind == 1:
                return Answer(b"HTTP/1.1 200 OK\r\n\r\n", "close", body=body)
            framed = lambda: (b"%x\r\n%s\r\n" % (len(p), p) for p in (*body(), b""))
            return Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body=framed)

        up = self.upstream(script)
        failures = []

        def read(i):
            rng = random.Random(seed * 1000 + i)
            with proxy.connect(
                timeout=60, receive_buffer=rng.choice((4096, 65_536, None))
            ) as client:
                client.request(stream_path(up.url(f"/{i:02}")), version="1.0" if i % 3 else "1.1")
                head = client.read_head()
                if leave and rng.random() < 0.7:
                    self.read_slowly(client, rng.randrange(len(contents[i])), seed + i)
                    return client.reset() if rng.random() < 0.5 else None
                body = self.read_slowly(client, len(contents[i]), seed + i)
                if head.status != 200 or body != contents[i]:
                    failures.append((i, head.status, len(body)))

        def guarded(i):
            try:
                read(i)
            except Exception as error:  # pylint: disable=broad-exception-caught
                failures.append((i, repr(error)))

        threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        self.assertFalse(any(thread.is_alive() for thread in threads))
        self.assertEqual(failures, [])

    def test_concurrent_streams_in_pieces_of_any_size_are_complete(self):
        proxy = self.start()
        self.converse(proxy, 24, 1)
        self.assertGreater(self.total(proxy, "bytes_spliced"), 0)
        self.assertEqual(sum(self.pipes(proxy)), 0)

    def test_clients_that_leave_at_any_offset_do_not_harm_others(self):
        proxy = self.proxy()
        self.converse(proxy, 24, 2, leave=True)
        wait_until(lambda: len(proxy.access_log()) >= 24, what="all of them to end")
        self.assertEqual(sum(self.pipes(proxy)), 0)
        self.assertLess(len(self.pipes(proxy)), 40)

    def test_bodies_are_copied_when_the_kernel_refuses_pipes(self):
        """Beyond pipe-user-pages-soft the kernel gives a user no larger pipe."""
        with open("/proc/sys/fs/pipe-user-pages-soft", encoding="ascii") as file:
            if int(file.read()) == 0:
                self.skipTest("this machine has no limit on pipes")
        words = [sys.executable, "-c", HOG]
        if os.geteuid() == 0:  # root has no limit
            words.append(str(pwd.getpwnam("nobody").pw_uid))
        hog = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(hog.communicate)
        self.assertEqual(hog.stdout.readline(), b"none left\n")
        # LeakSanitizer does not work in a process that has changed its user.
        proxy = self.start(environment={"ASAN_OPTIONS": "detect_leaks=0"}, user="nobody")
        self.converse(proxy, 9, 3)
        self.assertEqual(self.total(proxy, "bytes_spliced"), 0)


class Stalled(RelayTest):
    settings = {"client": {"write_stall_timeout": "60s"}, "upstream": {"idle_timeout": "60s"}}

    def stall(self, proxy, framing, count=12):
        """`count` clients that do not read, once their upstreams have stopped sending."""

        def body():
            while True:
                yield CONTENT[:MIB] if "chunked" not in framing else b"100000\r\n%s\r\n" % CONTENT[
                    :MIB
                ]

        answers = [
            Answer(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode(), body=body)
            for _ in range(count)
        ]
        up = self.upstream(list(answers))
        clients = []
        for _ in answers:
            clients.append(proxy.connect(receive_buffer=16 * 1024))
            clients[-1].request(stream_path(up.url("/a.ts")))
            self.addCleanup(clients[-1].close)
        wait_until_stopped(*answers)
        return clients

    def test_a_stalled_relay_holds_no_pipe_and_does_not_spin(self):
        for framing in ("Content-Length: 99999999999", "Transfer-Encoding: chunked"):
            with self.subTest(framing):
                proxy = self.own_proxy(self.settings)
                self.stall(proxy, framing)
                # The room in a socket is an estimate, so a few bytes may stay in a pipe.
                self.assertLessEqual(sum(self.pipes(proxy)), MIB)
                self.assertEqual(proxy.ask("/health").status, 200)
                self.assert_idle(proxy)

    def test_a_relay_that_waits_for_the_upstream_does_not_spin(self):
        proxy = self.own_proxy(self.settings)
        up = self.upstream(
            Answer(length_head(10**11), "stall", body=lambda: iter([CONTENT[:MIB]] * 40))
        )
        with proxy.connect(receive_buffer=16 * 1024, timeout=60) as client:
            client.request(stream_path(up.url("/a.ts")))
            client.read_head()
            time.sleep(0.5)
            self.read_slowly(client, 40 * MIB, 1)
            self.assert_idle(proxy)

    def assert_idle(self, proxy):
        worker = proxy.workers()[0]
        before, at = self.effort(worker), time.monotonic()
        time.sleep(2)
        wakes, ticks = (b - a for a, b in zip(before, self.effort(worker)))
        # Only the heartbeat and the timer wheel's ten ticks a second wake the worker. libevent's
        # clock has steps of 4 ms, so a tick may take up to five waits. A busy loop takes thousands.
        self.assertLess(wakes / (time.monotonic() - at), 75)
        self.assertLess(ticks / os.sysconf("SC_CLK_TCK"), 0.2)

    @staticmethod
    def effort(pid):
        """Voluntary context switches (one for each wait) and clock ticks of CPU so far."""
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            wakes = int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M)[1])
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(") ")[2].split()
        return wakes, int(fields[11]) + int(fields[12])


class Rates(RelayTest):
    def test_a_client_below_min_rate_is_cut(self):
        proxy = self.start(client={"min_rate": "1MiB", "min_rate_window": "1s"})

        def endless():
            while True:
                yield CONTENT[:MIB]

        up = self.upstream(Answer(length_head(10**11), body=endless))
        with proxy.connect(receive_buffer=16 * 1024) as client:
            client.request(stream_path(up.url("/a.ts")))
            deadline = time.monotonic() + 20
            with self.assertRaises(ConnectionResetError):
                while time.monotonic() < deadline:
                    client.socket.recv(1000)
                    time.sleep(0.02)
        entry = proxy.wait_for_access()
        self.assertEqual(entry["reason"], "client_too_slow")
        self.assertEqual(self.total(proxy, "failed_client_too_slow"), 1)
        wait_until(up.answers[0].closed.is_set, what="the upstream to be cancelled")

    def test_an_upstream_below_min_rate_is_cut(self):
        proxy = self.start(upstream={"min_rate": "1KiB", "min_rate_window": "1s"})

        def trickle():
            while True:
                yield b"x"
                time.sleep(0.05)

        up = self.upstream(Answer(length_head(1000) + b"some", body=trickle))
        response = proxy.stream(up.url("/a.ts"))
        self.assertEqual((response.complete, response.ended_by), (False, "fin"))
        self.assertEqual(proxy.wait_for_access()["reason"], "upstream_too_slow")
        self.assertEqual(self.total(proxy, "failed_upstream_too_slow"), 1)

    def test_a_slow_client_does_not_make_its_upstream_slow(self):
        proxy = self.start(
            upstream={"min_rate": "1MiB", "min_rate_window": "1s"}, client={"min_rate": "0B"}
        )
        up = self.upstream(Answer(length_head(80 * MIB), body=lambda: iter([CONTENT[:MIB]] * 80)))
        with proxy.connect(receive_buffer=16 * 1024, timeout=60) as client:
            client.request(stream_path(up.url("/a.ts")))
            client.read_head()
            time.sleep(2.5)
            self.assertEqual(proxy.access_log(), [])
            self.assertEqual(len(self.read_slowly(client, 80 * MIB, 5)), 80 * MIB)
        self.assertEqual(proxy.wait_for_access()["reason"], "ok")


if __name__ == "__main__":
    main()
