"""The live streams and the state of the service: on the admin listener, and by `streamgate -s`."""

import json
import os
import re
import socket
import stat

from admin import ADMIN, admin_address, ask, ask_json
from harness import closed_port, main, stream_path, streamgate, wait_until
from service import ServiceTest
from upstream import Answer, ok, playlist, status

ENDLESS = Answer(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + b"x" * 100_000, "stall")
LARGE = ok(b"x" * 100_000_000)


class StreamsTest(ServiceTest):
    def play(self, proxy, url, headers=(), **parameters):
        """A client that has the head of an answer and part of its body."""
        client = proxy.connect()
        self.addCleanup(client.close)
        client.request(stream_path(url, **parameters), headers)
        self.assertEqual(client.read_head().status, 200)
        return client

    def wait_for_streams(self, address, number=1):
        def find():
            streams = ask_json(address, "/streams")["streams"]
            return (streams,) if len(streams) == number else None  # an empty list is false

        return wait_until(find, what=f"{number} live streams")[0]


class OnTheAdminListener(StreamsTest):
    def test_a_stream_has_client_upstream_kind_step_time_and_bytes(self):
        up = self.upstream(LARGE)
        proxy = self.start(
            admin=ADMIN, client_address="x-forwarded-for", trusted_proxies="loopback"
        )
        address = admin_address(proxy)
        self.assertEqual(ask_json(address, "/streams"), {"exchanges": 0, "streams": []})
        url = up.url("/a.mp4?token=secret")
        client = self.play(proxy, url, {"X-Forwarded-For": "203.0.113.9"})
        stream = self.wait_for_streams(address)[0]
        self.assertEqual(
            {key: stream[key] for key in ("client", "kind", "step", "worker", "upstream")},
            {
                "client": "203.0.113.9",
                "kind": "file",
                "step": "relay_body",
                "worker": 0,
                "upstream": up.url("/a.mp4?token=*"),
            },
        )
        self.assertRegex(stream["since"], r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        self.assertGreaterEqual(stream["age_s"], 0)
        wait_until(lambda: self.wait_for_streams(address)[0]["bytes"] > 0, what="bytes")
        self.assertNotIn("secret", ask(address, "/status").text)
        before = stream["bytes"]
        for _ in range(50):
            client.receive_more()
        wait_until(lambda: self.wait_for_streams(address)[0]["bytes"] > before, what="more bytes")
        wait_until(lambda: self.wait_for_streams(address)[0]["rate"] > 0, what="a rate")
        client.close()
        self.wait_for_streams(address, 0)

    def test_the_kind_tells_files_live_streams_and_playlists_apart(self):
        lines = "#EXTM3U\n" + "#EXTINF:4,\nhttp://a.example/segment.ts\n" * 300_000
        up = self.upstream({"/f": LARGE, "/l": ENDLESS, "/p.m3u8": playlist(lines)})
        proxy = self.start(admin=ADMIN)
        address = admin_address(proxy)
        for path in ("/f", "/l", "/p.m3u8"):
            self.play(proxy, up.url(path))
        kinds = [each["kind"] for each in self.wait_for_streams(address, 3)]
        self.assertEqual(kinds, ["file", "live", "playlist"])  # the oldest first

    def test_a_request_that_waits_for_its_upstream_is_shown_with_its_step(self):
        up = self.upstream(Answer(b"", "stall"))
        proxy = self.start(admin=ADMIN)
        with proxy.connect() as client:
            client.request(stream_path(up.url("/a")))
            stream = self.wait_for_streams(admin_address(proxy))[0]
            self.assertEqual((stream["step"], stream["kind"]), ("await_head", None))

    def test_streams_of_all_workers_are_shown_by_any_worker(self):
        up = self.upstream(LARGE)
        proxy = self.start(admin=ADMIN, workers=3)
        for _ in range(12):
            self.play(proxy, up.url("/a"))
        streams = self.wait_for_streams(admin_address(proxy), 12)
        self.assertEqual(len({each["upstream"] for each in streams}), 1)
        self.assertGreater(len({each["worker"] for each in streams}), 1)

    def test_the_streams_of_a_worker_that_drains_are_shown(self):
        up = self.upstream(LARGE)
        proxy = self.start(admin=ADMIN)
        self.play(proxy, up.url("/a"))
        address = admin_address(proxy)
        self.wait_for_streams(address)
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        self.assertEqual(len(self.wait_for_streams(address)), 1)

        def states():
            return sorted(each["state"] for each in ask_json(address, "/status")["workers"])

        # The worker says a moment after the reload that it drains.
        wait_until(lambda: states() == ["draining", "ready"], what="a draining worker")

    def test_more_streams_than_rows_are_counted(self):
        # The kernel accepts the connections; no answer is sent.
        upstream = socket.create_server(("127.0.0.1", 0), backlog=600)
        self.addCleanup(upstream.close)
        url = f"http://127.0.0.1:{upstream.getsockname()[1]}/"
        proxy = self.start(admin=ADMIN)
        clients = [proxy.connect() for _ in range(520)]
        for client in clients:
            self.addCleanup(client.close)
            client.request(stream_path(url))
        address = admin_address(proxy)
        wait_until(lambda: ask_json(address, "/streams")["exchanges"] == 520, 60, "the requests")
        self.wait_for_streams(address, 512)
        for client in clients[:100]:
            client.close()
        wait_until(lambda: ask_json(address, "/streams")["exchanges"] == 420, 60, "fewer requests")
        self.wait_for_streams(address, 420)

    def test_status_has_the_upstream_hosts_with_most_failures(self):
        up = self.upstream({"/a": status(404), "/b": ok(b"x")})
        proxy = self.start(admin=ADMIN)
        port = closed_port()
        for _ in range(3):
            proxy.stream(f"http://127.0.0.1:{port}/")
        proxy.stream(up.url("/a"))
        proxy.stream(up.url("/b"))
        proxy.stream("http://10.0.0.1/")  # refused by us
        hosts = ask_json(admin_address(proxy), "/status")["hosts"]
        self.assertEqual(
            [{key: each[key] for key in ("host", "failed", "statuses", "last")} for each in hosts],
            [
                {"host": f"127.0.0.1:{port}", "failed": 3, "statuses": 0, "last": "connect_failed"},
                {"host": f"127.0.0.1:{up.port}", "failed": 0, "statuses": 1, "last": "404"},
            ],
        )

    def test_status_has_the_service_its_workers_and_its_counters(self):
        proxy = self.start(admin=ADMIN, workers=2)
        address = admin_address(proxy)
        proxy.reload({"workers": "many"})
        proxy.wait_for_event("reload.failed")
        state = ask_json(address, "/status")
        self.assertEqual(state["service"]["pid"], proxy.process.pid)
        self.assertEqual(state["service"]["state"], "serving")
        self.assertIs(state["service"]["ready"], True)
        self.assertEqual(state["service"]["workers_wanted"], 2)
        self.assertEqual(state["reload"]["result"], "failed")
        self.assertIn("many", state["reload"]["problem"])
        ready = {int(each["worker"]) for each in proxy.events_named("worker.ready")}
        self.assertEqual({each["pid"] for each in state["workers"]}, ready)
        self.assertEqual(state["counters"]["reloads_failed"], 1)
        self.assertIn("first_byte", state["durations"])


class Page(StreamsTest):
    """The page for people."""

    def test_it_is_at_the_root_and_for_browsers_at_status(self):
        address = admin_address(self.start(admin=ADMIN))
        pages = [ask(address, "/"), ask(address, "/status", {"Accept": "text/html,*/*;q=0.8"})]
        for page in pages:
            self.assertEqual(page["Content-Type"], "text/html; charset=utf-8")
            self.assertTrue(page.text.startswith("<!doctype html>"))
        for accepted in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
            self.assertEqual(ask(address, "/status", accepted)["Content-Type"], "application/json")

    def test_its_policy_allows_only_its_own_style_and_script(self):
        address = admin_address(self.start(admin=ADMIN))
        nonces = set()
        for _ in range(2):
            page = ask(address, "/")
            policy = dict(
                part.strip().partition(" ")[::2]
                for part in page["Content-Security-Policy"].split(";")
            )
            nonce = re.fullmatch(r"'nonce-([0-9a-f]{32})'", policy["script-src"])[1]
            nonces.add(nonce)
            self.assertEqual(
                policy,
                {
                    "default-src": "'none'",
                    "script-src": f"'nonce-{nonce}'",
                    "style-src": f"'nonce-{nonce}'",
                    "img-src": "data:",
                    "connect-src": "'self'",
                    "base-uri": "'none'",
                    "form-action": "'none'",
                    "frame-ancestors": "'none'",
                },
            )
            for tag in re.findall(r"<(?:script|style)[^>]*>", page.text):
                self.assertIn(f'nonce="{nonce}"', tag)
            self.assertNotRegex(page.text, r"https?://|style=|\bon\w+=")
        self.assertEqual(len(nonces), 2)

    def test_it_shows_streams_and_hosts_and_escapes_them(self):
        up = self.upstream({"/f": LARGE, "/404": status(404)})
        proxy = self.start(admin=ADMIN)
        address = admin_address(proxy)
        self.play(proxy, up.url("/f") + "?<script>alert(1)</script>&a=1")
        proxy.stream(up.url("/404"))
        self.wait_for_streams(address)
        page = ask(address, "/").text
        self.assertIn(f"127.0.0.1:{up.port}/f", page)
        self.assertIn("1 of 1 requests", page)
        self.assertIn("<td>404</td>", page)
        self.assertEqual(page.count("<script"), 1)


class OnTheCommandLine(StreamsTest):
    def print(self, proxy, *arguments):
        done = streamgate("-c", proxy.config_file, "-s", *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def test_streams_are_printed_as_lines_and_as_json(self):
        up = self.upstream(LARGE)
        proxy = self.start()  # without an admin listener
        self.assertEqual(self.print(proxy, "streams"), "streams shown=0 exchanges=0\n")
        self.play(proxy, up.url("/a?k=secret"))
        wait_until(lambda: "shown=1" in self.print(proxy, "streams"), what="the stream")
        head, line = self.print(proxy, "streams").rstrip("\n").split("\n")
        self.assertEqual(head, "streams shown=1 exchanges=1")
        self.assertRegex(
            line,
            r"stream client=127\.0\.0\.1:\d+ kind=file step=relay_body age=\d+s bytes=\d+ "
            rf'rate=\d+ worker=0 id=\S+ upstream="{re.escape(up.url("/a?k=*"))}"',
        )
        streams = json.loads(self.print(proxy, "streams", "--json"))["streams"]
        self.assertEqual([each["upstream"] for each in streams], [up.url("/a?k=*")])

    def test_status_is_printed_as_the_json_of_the_admin_listener(self):
        proxy = self.start(admin=ADMIN)
        state = json.loads(self.print(proxy, "status", "--json"))
        served = ask_json(admin_address(proxy), "/status")
        self.assertEqual(set(state), set(served))
        self.assertEqual(state["service"]["pid"], served["service"]["pid"])
        self.assertEqual(state["service"]["state"], "serving")

    def test_only_the_user_of_the_service_may_read_the_reports(self):
        proxy = self.start()
        self.print(proxy, "streams")
        self.print(proxy, "status", "--json")
        folder = os.path.dirname(self.pid_file)
        reports = [name for name in os.listdir(folder) if name not in ("pid", "pid.status")]
        self.assertEqual(sorted(reports), ["pid.status.json", "pid.streams"])
        for name in reports:
            mode = os.stat(os.path.join(folder, name)).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600, name)
        proxy.stop()
        self.assertEqual(os.listdir(folder), [])

    def test_json_is_for_status_and_streams_only(self):
        for order in ("reload", "stop"):
            done = streamgate("-s", order, "--json")
            self.assertEqual(done.returncode, 2)
            self.assertIn("--json needs", done.stderr)
        self.assertEqual(streamgate("--json").returncode, 2)

    def test_a_service_that_does_not_run_has_no_streams(self):
        proxy = self.start()
        proxy.stop()
        self.assertEqual(self.order(proxy, "streams").returncode, 3)


if __name__ == "__main__":
    main()
