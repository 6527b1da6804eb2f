"""A reload applies every limit and every file of the configuration."""

import os
import signal
import socket

from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer, ok, playlist, redirect

LONG_URI = "segment.ts?token=" + "x" * 3000
STALL = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"


class TakesEffect(ProxyTest):
    def setUp(self):
        self.proxy_ = self.own_proxy()
        self.base = dict(self.proxy_.settings)
        self.reloads = 0

    def take_over(self, settings):
        """Reloads with `settings` over the defaults, and waits for the old workers to exit."""
        old = wait_until(self.proxy_.workers)
        self.proxy_.write_config({**self.base, **settings})
        self.proxy_.send_signal(signal.SIGHUP)
        self.reloads += 1
        wait_until(lambda: len(self.proxy_.events_named("reload.done")) == self.reloads)
        wait_until(lambda: not set(old) & set(self.proxy_.workers()), what="old workers to exit")
        self.proxy_.mark()

    def compare(self, name, settings, probe, before, after):
        with self.subTest(name):
            self.take_over({})
            self.assertEqual(probe(), before)
            self.take_over(settings)
            self.assertEqual(probe(), after)

    def reason(self, answer, receive_buffer=None, reads=True):
        """The reason in the access-log line of one stream of `answer`."""
        up = self.upstream(answer)
        with self.proxy_.connect(receive_buffer=receive_buffer) as client:
            client.request(stream_path(up.url("/a.ts")))
            if reads:
                client.read_response()
            return self.proxy_.wait_for_access()["reason"]

    def test_sizes_and_counts_take_effect(self):
        def rewritten():
            up = self.upstream(playlist("#EXTM3U\n" + LONG_URI + "\n"))
            return b"url=" in self.proxy_.stream(up.url("/a.m3u8")).body

        def redirected():
            up = self.upstream({"/a.ts": redirect("/b.ts"), "/b.ts": ok(b"x")})
            return self.proxy_.stream(up.url("/a.ts")).status

        def beside_a_stream():
            client, gate = self.stream_under_way(self.proxy_)
            status = self.proxy_.ask("/health").status
            gate.set()
            client.close()
            return status

        def connections_of_two_requests():
            up = self.upstream(ok(b"x"))
            for _ in range(2):
                self.proxy_.stream(up.url("/a.ts"))
            return up.connections

        def line():
            return self.proxy_.ask("/health?" + "x" * 2000).status

        def head():
            return self.proxy_.ask("/health", {"X-Long": "x" * 3000}).status

        sizes = {"request_line": "1KiB", "request_head": "2KiB"}
        self.compare("request_line", {"limits": sizes}, line, 200, 414)
        self.compare("request_head", {"limits": sizes}, head, 200, 431)
        self.compare("playlist_line", {"limits": {"playlist_line": "1KiB"}}, rewritten, True, False)
        self.compare("connections", {"limits": {"connections": 1}}, beside_a_stream, 200, 503)
        self.compare("max_redirects", {"upstream": {"max_redirects": 0}}, redirected, 200, 502)
        kept = {"upstream": {"keepalive_per_origin": 0}}
        self.compare("keepalive_per_origin", kept, connections_of_two_requests, 1, 2)
        kept = {"upstream": {"keepalive_per_worker": 0}}
        self.compare("keepalive_per_worker", kept, connections_of_two_requests, 1, 2)

    def test_upstream_timeouts_take_effect(self):
        for name, value, answer in (
            ("first_byte_timeout", "200ms", Answer(b"", "stall")),
            ("idle_timeout", "200ms", Answer(STALL, "stall")),
        ):
            with self.subTest(name):
                self.take_over({"upstream": {name: value}})
                self.assertEqual(self.reason(answer), name)
        with self.subTest("min_rate"):
            self.take_over({"upstream": {"min_rate": "1GiB", "min_rate_window": "1s"}})
            self.assertEqual(self.reason(Answer(STALL, "stall")), "upstream_too_slow")
        with self.subTest("connect_timeout"), socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            self.take_over({"upstream": {"connect_timeout": "200ms"}})
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                self.addCleanup(filler.close)
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            response = self.proxy_.stream(f"http://127.0.0.1:{full.getsockname()[1]}/a.ts")
            self.assert_error(response, 504, "connect_timeout")

    def test_client_timeouts_take_effect(self):
        with self.subTest("header_timeout"):
            self.take_over({"client": {"header_timeout": "200ms"}})
            with self.proxy_.connect() as client:
                client.send(b"GET /health HTTP/1.1\r\n")
                self.assertEqual(client.read_response().status, 408)
        with self.subTest("keepalive_timeout"):
            self.take_over({"client": {"keepalive_timeout": "200ms"}})
            with self.proxy_.connect() as client:
                client.request("/health")
                self.assertIsNone(client.read_response()["Connection"])
                self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))
        for name, settings in (
            ("client_stalled", {"write_stall_timeout": "300ms"}),
            ("client_too_slow", {"min_rate": "1GiB", "min_rate_window": "1s"}),
        ):
            with self.subTest(name):
                self.take_over({"client": settings})
                endless = Answer(ENDLESS, body=self.without_end)
                self.assertEqual(self.reason(endless, receive_buffer=4096, reads=False), name)

    def test_watchdog_timeout_takes_effect(self):
        self.take_over({"watchdog_timeout": "2s"})
        worker = wait_until(self.proxy_.workers)[0]
        os.kill(worker, signal.SIGSTOP)
        self.proxy_.wait_for_event("worker.stuck", 9, worker=str(worker))
        wait_until(lambda: worker not in self.proxy_.workers(), what="the worker to end")
        self.assertEqual(self.proxy_.ask("/health").status, 200)

    def test_log_files_take_effect(self):
        logs = {name: os.path.join(self.proxy_.folder, name) for name in ("access", "error")}
        self.proxy_.write_config({**self.base, "log": logs})
        self.proxy_.send_signal(signal.SIGHUP)

        def has(name, text):
            with open(logs[name], encoding="ascii") as file:
                return text in file.read()

        wait_until(lambda: os.path.exists(logs["error"]) and has("error", "reload.done"))
        self.proxy_.ask("/somewhere")
        wait_until(lambda: has("access", "route=/somewhere"))

    @staticmethod
    def without_end():
        while True:
            yield b"x" * 65536


if __name__ == "__main__":
    main()
