"""The access log has one line per exchange, in each format, with stable keys and no secrets."""

import json
import os
import re
import signal

from harness import ProxyTest, closed_port, main, parse_line, stream_path, streamgate, wait_until
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
        wait_until(lambda: "route=/* " in proxy.log())
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


# Bytes with which a request could end a line, forge a field or control a terminal.
HOSTILE = (
    'x" status=999 \t',
    "a\\",
    '\\", "status": 999, "x": "',
    '" 200 0 "-" "-"',
    "\x1b[2J\x7f",
    "\x80\xff\x9b1m",
    "\xc3\xa9 \xe2\x80\xa8",
    "'; $(id) `id` %s %n",
    "x" * 9_000,
)
STATUSES = [400 if "\x1b" in text else 200 for text in HOSTILE]  # control bytes are refused
ALL_FIELDS = (
    "id client method route status reason bytes ms upstream upstream_status attempts reused"
    " playlist resumed discontinuities detail user_agent referer protocol first_byte_ms"
    " upstream_host worker generation"
).split()


class Formats(ProxyTest):
    def lines_of(self, proxy, count, is_access):
        """The lines of the access log, as bytes without their ends."""

        def lines():
            with open(proxy.log_file, "rb") as file:
                return [line for line in file.read().split(b"\n")[:-1] if is_access(line)]

        wait_until(lambda: len(lines()) >= count, what=f"{count} lines")
        return lines()

    def ask_hostile(self, proxy):
        """Requests with hostile bytes in every place; returns their number."""
        up = self.upstream(lambda request: ok(b"x"))
        for text in HOSTILE:
            proxy.stream(
                up.url("/a%0aaccess%22"), {"User-Agent": text, "Referer": f"http://r/{text}"}
            )
        proxy.ask("/no%22thing\\x;a=b")
        with proxy.connect() as client:
            client.send(b'GET /\x1b[2J"\r\n\r\n')
            client.read_response()
        with proxy.connect() as client:
            client.request(stream_path(up.url()))
            client.read_head()
        return len(HOSTILE) + 3

    def test_each_json_line_is_one_object_for_hostile_requests(self):
        proxy = self.own_proxy({"log": {"format": "json", "fields": ALL_FIELDS}})
        count = self.ask_hostile(proxy)
        lines = self.lines_of(proxy, count, lambda line: b'"event":"access"' in line)
        self.assertEqual(len(lines), count)
        with open(proxy.log_file, "rb") as file:
            everything = file.read()
        self.assertNotRegex(everything, rb"[\x00-\x09\x0b-\x1f\x7f]")
        self.assertNotIn(b"\xc2\x9b", everything)
        for line in everything.split(b"\n")[:-1]:
            pairs = json.loads(line.decode("utf-8"), object_pairs_hook=list)
            keys = [key for key, _ in pairs]
            self.assertEqual(keys[:3], ["time", "level", "event"])
            self.assertEqual(len(set(keys)), len(keys), line)
            self.assertLessEqual(len(line), 4096)
        entries = [json.loads(line) for line in lines]
        first = entries[0]
        self.assertEqual([key for key in ALL_FIELDS if key in first], list(first)[3:])
        self.assertEqual(
            [first[key] for key in ("status", "bytes", "reused", "playlist", "protocol")],
            [200, 1, False, False, "HTTP/1.1"],
        )
        self.assertEqual(first["user_agent"], HOSTILE[0].strip())
        self.assertEqual((first["upstream_host"], first["generation"]), ("127.0.0.1", 1))
        self.assertIn(first["worker"], proxy.workers())
        self.assertGreaterEqual(first["ms"], first["first_byte_ms"])
        self.assertEqual([entry["status"] for entry in entries[: len(HOSTILE)]], STATUSES)

    def test_events_are_json_too(self):
        proxy = self.own_proxy({"log": {"format": "json"}})
        wait_until(lambda: '"event":"master.ready"' in proxy.log())
        ready = next(json.loads(x) for x in proxy.log().split("\n") if "master.ready" in x)
        self.assertEqual((ready["level"], ready["workers"]), ("info", 1))
        self.assertEqual(ready["pid"], proxy.process.pid)

    def test_combined_lines_are_those_of_apache(self):
        proxy = self.own_proxy({"log": {"format": "combined"}})
        count = self.ask_hostile(proxy)
        # LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined
        quoted = rb'"((?:[^"\\\x00-\x1f\x7f-\xff]|\\x[0-9A-F]{2})+)"'
        combined = re.compile(
            rb"(\d+\.\d+\.\d+\.\d+) - - "
            rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
            rb'"(-|(?:GET|HEAD|OPTIONS) [^ "]+ HTTP/1\.[01])" (\d{3}) (\d+) '
            + quoted
            + b" "
            + quoted
        )
        lines = self.lines_of(proxy, count, lambda line: b"] \"" in line)
        self.assertEqual(len(lines), count)
        for line in lines:
            self.assertIsNotNone(combined.fullmatch(line), line)
            self.assertLessEqual(len(line), 4096)
        first = combined.fullmatch(lines[0]).groups()
        self.assertEqual(first[0], b"127.0.0.1")
        self.assertRegex(
            first[1], rb"^GET /stream\?url=http://127\.0\.0\.1:\d+/a%0aaccess%22 HTTP/1\.1$"
        )
        self.assertEqual((first[2], first[3]), (b"200", b"1"))
        self.assertEqual(first[5], rb"x\x22 status=999")
        self.assertIn(b'"-" 400 ', lines[-2])

    def test_text_lines_with_all_fields_cannot_be_forged(self):
        proxy = self.own_proxy({"log": {"fields": ALL_FIELDS}})
        count = self.ask_hostile(proxy)
        lines = self.lines_of(proxy, count, lambda line: b" access " in line)
        self.assertEqual(len(lines), count)
        for line in lines:
            self.assertRegex(line, rb"^[\x20-\x7e]+$")
            self.assertLessEqual(len(line), 4096)
        entries = [parse_line(line.decode()) for line in lines[: len(HOSTILE)]]
        self.assertEqual([int(entry["status"]) for entry in entries], STATUSES)

    def test_chosen_fields_stand_in_their_order(self):
        proxy = self.proxy(log={"fields": ["status", "upstream_host", "id", "user_agent"]})
        up = self.upstream(ok(b"x"))
        proxy.stream(up.url("/a.ts"), {"User-Agent": "VLC/3.0"})
        line = self.lines_of(proxy, 1, lambda line: b" access " in line)[0].decode()
        self.assertRegex(
            line, r" access status=200 upstream_host=127\.0\.0\.1 id=\w{13} user_agent=VLC/3\.0$"
        )

    def test_headers_in_the_log_have_no_secrets(self):
        up = self.upstream(lambda request: ok(b"x"))
        headers = {
            "User-Agent": "Bot (+http://u:SECRET@b.example/?t=SECRET)",
            "Referer": "http://u:SECRET@r.example/p;s=SECRET?t=SECRET&SECRET#SECRET",
        }
        for log in ({"fields": ALL_FIELDS}, {"format": "json", "fields": ALL_FIELDS},
                    {"format": "combined"}):
            proxy = self.own_proxy({"log": log})
            proxy.stream(up.url("/a.ts?t=SECRET"), headers)
            wait_until(lambda: "r.example" in proxy.log())  # pylint: disable=W0640
            self.assertNotIn("SECRET", proxy.log())


    def test_secrets_in_the_path_of_a_link_are_masked(self):
        up = self.upstream(lambda request: ok(b"x"))
        query = stream_path(up.url("/a.ts")).removeprefix("/stream")
        link = f"http://front.example/u/SECRET/stream/SECRET{query}"
        for log in ({"fields": ALL_FIELDS}, {"format": "json", "fields": ALL_FIELDS},
                    {"format": "combined"}):
            proxy = self.own_proxy({"log": log})
            self.assertEqual(proxy.ask("/u/SECRET/strem" + query).status, 404)
            self.assertEqual(proxy.ask("/SECRET").status, 404)
            self.assertEqual(proxy.ask("/stream/SECRET" + query, {"Referer": link}).status, 200)
            for shown in ("/*/*/*", "/stream/*", "http://front.example/*/*/stream/*?url=*"):
                wait_until(lambda: shown in proxy.log(), what=shown)  # pylint: disable=W0640
            self.assertNotIn("SECRET", proxy.log())


class Levels(ProxyTest):
    def test_the_access_log_may_have_failures_only(self):
        up = self.upstream({"/a": ok(b"x"), "/404": status(404, {}, b"no")})
        proxy = self.proxy(log={"levels": {"access": "warn"}})
        for target in (stream_path(up.url("/a")), stream_path(up.url("/404")), "/nothing"):
            proxy.ask(target)
        wait_until(proxy.access_log)
        self.assertEqual([entry["reason"] for entry in proxy.access_log()], ["not_found"])

    def test_the_access_log_may_have_errors_only_or_nothing(self):
        proxy = self.proxy(log={"levels": {"access": "error"}})
        proxy.ask("/nothing")
        proxy.stream(f"http://127.0.0.1:{closed_port()}/")
        wait_until(proxy.access_log)
        self.assertEqual([entry["reason"] for entry in proxy.access_log()], ["connect_failed"])
        proxy = self.own_proxy({"log": {"levels": {"access": "off"}}})
        proxy.ask("/nothing")
        proxy.stop()
        self.assertEqual(proxy.access_log(), [])

    def test_levels_switch_single_events_on_and_off(self):
        proxy = self.own_proxy({"log": {"levels": {"fetch.*": "debug", "worker.left": "off"}}})
        up = self.upstream(ok(b"x"))
        proxy.stream(up.url())
        proxy.wait_for_event("fetch.step", step="read_body")
        proxy.stop()
        self.assertEqual(proxy.events_named("exchange.step"), [])
        self.assertEqual(proxy.events_named("worker.left"), [])
        self.assertTrue(proxy.events_named("master.stopped"))

    def test_check_reports_an_unknown_event_with_its_line(self):
        proxy = self.own_proxy()
        proxy.write_config("log:\n  levels:\n    dns.server_silnet: off\n")
        result = streamgate("-c", proxy.config_file, "--check")
        self.assertEqual(result.returncode, 1)
        self.assertIn(":3: log.levels.dns.server_silnet: is neither an event", result.stderr)


class NotAPlaylist(ProxyTest):
    PAGE = b"<!DOCTYPE html><title>Log in</title>"

    def reason_of(self, proxy, target, body):
        proxy.mark()
        response = proxy.ask(target)
        self.assertEqual((response.status, response.body), (200, body))
        return proxy.wait_for_access()["reason"]

    def test_html_with_the_name_of_a_playlist_is_not_a_playlist(self):
        page = ok(self.PAGE, content_type="text/html")
        up = self.upstream(
            {
                "/a.m3u8": page,
                "/b.M3U": ok(b"\n<html>", content_type="application/vnd.apple.mpegurl"),
                "/moved.m3u8": redirect("/login"),
                "/login": page,
            }
        )
        proxy = self.proxy()
        for target, body in (
            (stream_path(up.url("/a.m3u8?token=x")), self.PAGE),
            (stream_path(up.url("/b.M3U")), b"\n<html>"),
            (stream_path(up.url("/moved.m3u8")), self.PAGE),
            (stream_path(up.url("/login"), "/stream/x.m3u8"), self.PAGE),
        ):
            with self.subTest(target):
                self.assertEqual(self.reason_of(proxy, target, body), "not_a_playlist")

    def test_other_html_and_other_text_is_ok(self):
        page = ok(self.PAGE, content_type="text/html")
        up = self.upstream(
            {
                "/a.html": page,
                "/a.m3u8": ok(b'{"error":1}', content_type="application/json"),
                "/404.m3u8": status(404, {"Content-Type": "text/html"}, self.PAGE),
            }
        )
        proxy = self.proxy()
        self.assertEqual(self.reason_of(proxy, stream_path(up.url("/a.html")), self.PAGE), "ok")
        self.assertEqual(
            self.reason_of(proxy, stream_path(up.url("/a.m3u8")), b'{"error":1}'), "ok"
        )
        proxy.mark()
        self.assertEqual(proxy.stream(up.url("/404.m3u8")).status, 404)
        self.assertEqual(proxy.wait_for_access()["reason"], "ok")


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
