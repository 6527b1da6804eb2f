"""The access log has one line per exchange, with stable keys and without secrets."""

import os
import signal

from harness import ProxyTest, closed_port, main, parse_line, stream_path, wait_until
from upstream import Answer, ok, redirect, status


class AccessLog(ProxyTest):
    KEYS = {"client", "method", "status", "reason", "bytes", "ms", "upstream"}

    def test_the_line_of_a_served_exchange_has_every_key(self):
        up = self.upstream(ok(b"hello"))
        proxy = self.proxy()
        proxy.stream(up.url("/a.ts"))
        entry = proxy.wait_for_access()
        self.assertLessEqual(self.KEYS, set(entry))
        self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(
            [entry[k] for k in ("method", "status", "reason", "bytes")], ["GET", "200", "ok", "5"]
        )
        self.assertTrue(entry["client"].startswith("127.0.0.1"))
        self.assertEqual(entry["upstream"], up.url("/a.ts"))
        self.assertTrue(entry["ms"].replace(".", "").isdigit())

    def test_every_request_has_one_line_with_its_reason(self):
        up = self.upstream(
            {
                "/cut": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "close"),
                "/loop": redirect("/loop"),
                "/404": status(404, {}, b"no"),
                "/ok": ok(b"x"),
            }
        )
        proxy = self.proxy()
        expected = []

        def ask(target, code, reason, **options):
            proxy.ask(target, **options)
            expected.append((str(code), reason))
            proxy.wait_for_access(len(expected))

        ask(stream_path(up.url("/ok")), 200, "ok")
        ask(stream_path(up.url("/ok")), 200, "ok", method="HEAD")
        ask(stream_path(up.url("/404")), 404, "ok")
        ask(stream_path(up.url("/cut")), 200, "truncated_body")
        ask(stream_path(up.url("/loop")), 502, "too_many_redirects")
        ask(stream_path("http://10.0.0.1/"), 403, "target_forbidden")
        ask(stream_path(f"http://127.0.0.1:{closed_port()}/"), 502, "connect_failed")
        ask("/stream", 400, "bad_url")
        ask("/nothing", 404, "not_found")
        self.assertEqual([(e["status"], e["reason"]) for e in proxy.access_log()], expected)

    def test_a_malformed_request_has_one_line_with_a_detail(self):
        proxy = self.proxy()
        with proxy.connect() as client:
            client.send(b"nonsense\r\n\r\n")
            client.read_response()
        entry = proxy.wait_for_access()
        self.assertTrue(entry["detail"])
        self.assertEqual((entry["status"], entry["reason"]), ("400", "bad_request"))

    def test_pipelined_requests_have_one_line_each(self):
        up = self.upstream(ok(b"x"))
        proxy = self.proxy()
        with proxy.connect() as client:
            client.send(f"GET {stream_path(up.url())} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 3)
            for _ in range(3):
                self.assertEqual(client.read_response().status, 200)
        # A later request's line is behind every line of the pipelined ones.
        proxy.ask("/last")
        wait_until(lambda: proxy.access_log() and proxy.access_log()[-1]["route"] == "/last")
        self.assertEqual([e["route"] for e in proxy.access_log()], ["/stream"] * 3 + ["/last"])


class Secrets(ProxyTest):
    settings = {"log": {"level": "debug"}}

    def test_no_token_password_or_header_value_is_in_any_line(self):
        up = self.upstream(
            {
                "/a.ts": redirect("/b.ts?next=SECRET4"),
                "/b.ts": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "close"),
            }
        )
        proxy = self.proxy()
        proxy.stream(
            up.url("/a.ts?token=SECRET1&b=SECRET2"),
            {"Authorization": "SECRET3", "Cookie": "SECRET5"},
            **{
                "h_Authorization": "Bearer SECRET6",
                "h_Cookie": "s=SECRET7",
                "referer": "http://r.example/?k=SECRET8",
                "sg_sig": "SECRET9",
            },
        )
        proxy.stream("http://user:SECRET10@127.0.0.1/")
        proxy.wait_for_access(2)
        self.assertNotIn("SECRET", proxy.log())
        self.assertTrue(proxy.access_log()[0]["upstream"].endswith("/b.ts?next=*"))

    def test_text_without_a_name_path_parameters_and_fragments_are_masked(self):
        up = self.upstream(lambda request: ok(b"x"))
        proxy = self.proxy()
        for target, masked in (
            ("/a.ts?SECRET", "/a.ts?*"),
            ("/a.ts?a=1?SECRET", "/a.ts?a=*"),
            ("/a.ts?SECRET?a=1", "/a.ts?*"),
            ("/a;token=SECRET/b.ts;SECRET", "/a;token=*/b.ts;*"),
            ("/a.ts#SECRET", "/a.ts"),
        ):
            with self.subTest(target):
                proxy.mark()
                proxy.stream(up.url(target))
                logged = proxy.wait_for_access()["upstream"]
                self.assertIn(logged, (up.url(masked), up.url(masked) + "#*"))
        proxy.ask("/nothing;token=SECRET")
        wait_until(lambda: "route=\"/nothing;token=*\"" in proxy.log())
        self.assertNotIn("SECRET", proxy.log())

    def test_request_data_cannot_forge_a_field(self):
        proxy = self.proxy()
        up = self.upstream(ok(b"x"))
        proxy.stream(
            up.url('/a%20status=200%0areason=ok"b'),
            {"User-Agent": 'x" status=999 \t', "Referer": "a=b c=d"},
        )
        entry = proxy.wait_for_access()
        self.assertEqual(entry["status"], "200")
        self.assertEqual(len(proxy.access_log()), 1)


class Files(ProxyTest):
    def test_logs_go_to_files_and_reopen_on_usr1(self):
        proxy = self.own_proxy()
        access = os.path.join(proxy.folder, "access.log")
        os.chmod(proxy.folder, 0o777)
        proxy.reload(
            {
                "log": {"access": access, "error": os.path.join(proxy.folder, "error.log")},
            }
        )

        def is_in_the_file():
            # Until the old worker drains it may answer, and write to the old log.
            proxy.ask("/nothing")
            return os.path.exists(access) and "not_found" in self.text(access)

        wait_until(is_in_the_file)
        self.assertEqual(parse_line(self.text(access).split("\n")[0])["event"], "access")
        os.rename(access, access + ".1")
        proxy.send_signal(signal.SIGUSR1)
        wait_until(is_in_the_file)

    def test_access_log_off_writes_no_line(self):
        proxy = self.proxy(log={"access": "off"})
        proxy.ask("/nothing")
        proxy.ask("/nothing")
        self.assertEqual(proxy.access_log(), [])

    @staticmethod
    def text(path):
        with open(path, encoding="utf-8") as file:
            return file.read()


if __name__ == "__main__":
    main()
