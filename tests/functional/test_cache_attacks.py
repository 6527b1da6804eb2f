"""The rules of RFC 9111 that a cache breaks most easily, and what attackers make of them."""

import gzip
import itertools
import resource
import shutil
import signal
import tempfile
import threading
import time
import unittest
from email.utils import formatdate

from harness import ProxyTest, main, stream_path, wait_until
from name_server import NameServer, can_mount, proxy_with_names
from upstream import Answer, ok, playlist, status

LONG = {"Cache-Control": "max-age=600"}
OUTCOME = "X-Streamgate-Cache"
BODY = b"G" * 1000
LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ns.ts\n"
TAGGED = {**LONG, "ETag": '"v1"', "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}


class CacheTest(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}}

    def numbered(self, fields=(), content_type="video/mp2t"):
        """An upstream whose answers differ from each other."""
        numbers = itertools.count(1)
        return self.upstream(
            lambda _: ok(b"\x47%d" % next(numbers), fields, content_type=content_type)
        )

    def stored(self, fields=(), body=BODY):
        """An upstream whose answer is stored."""
        up = self.upstream(lambda _: ok(body, fields or TAGGED, content_type="video/mp2t"))
        self.assertEqual(self.proxy().stream(up.url("/a.ts"))[OUTCOME], "miss")
        return up

    def outcomes(self, up, count=2, headers=(), path="/a.ts", **parameters):
        proxy = self.proxy()
        return [
            proxy.stream(up.url(path), headers, **parameters)[OUTCOME] for _ in range(count)
        ]


class Requests(CacheTest):
    def test_no_directive_of_a_client_reaches_the_upstream_or_changes_the_store(self):
        # RFC 9111 5.2.1: they are advisory. One viewer must not cost the upstream a connection.
        up = self.stored()
        for value in ("no-cache", "no-store", "max-age=0", "only-if-cached", "min-fresh=9999",
                      "no-cache, no-store, must-revalidate", "max-stale"):
            response = self.proxy().stream(
                up.url("/a.ts"), {"Cache-Control": value, "Pragma": "no-cache"}
            )
            self.assertEqual((response.status, response[OUTCOME]), (200, "hit"), value)
        fresh = self.numbered(LONG)
        for value, outcome in (("no-store", "miss"), ("only-if-cached", "hit")):
            response = self.proxy().stream(fresh.url("/b.ts"), {"Cache-Control": value})
            self.assertEqual((response.status, response[OUTCOME]), (200, outcome), value)
        self.assertEqual((len(up.requests), len(fresh.requests)), (1, 1))
        self.assertIsNone(fresh.requests[0]["Cache-Control"])
        self.assertIsNone(fresh.requests[0]["Pragma"])

    def test_unsafe_methods_are_refused_and_drop_nothing(self):
        up = self.stored()
        for method in ("POST", "PUT", "DELETE", "PATCH", "PURGE", "BAN"):
            response = self.proxy().ask(stream_path(up.url("/a.ts")), method=method)
            self.assertGreaterEqual(response.status, 400, method)
            self.assertEqual(self.outcomes(up, 1), ["hit"])
        self.assertEqual(len(up.requests), 1)

    def test_the_method_of_a_header_does_not_count(self):
        up = self.stored()
        for name in ("X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"):
            self.assertEqual(self.outcomes(up, 1, {name: "POST"}), ["hit"])
        self.assertEqual(len(up.requests), 1)

    def test_a_body_of_a_get_does_not_count(self):
        # "Fat GET": its body would change the answer, and is no part of the key.
        up = self.upstream(lambda r: ok(b"G" + r.raw, LONG, content_type="video/mp2t"))
        client = self.proxy().connect()
        self.addCleanup(client.close)
        target = stream_path(up.url("/a.ts"))
        client.send(f"GET {target} HTTP/1.1\r\nHost: a.example\r\n".encode()
                    + b"Content-Length: 6\r\n\r\nx=evil")
        response = client.read_response()
        self.assertNotIn(b"evil", response.body)
        for _ in range(2):
            whole = self.proxy().stream(up.url("/a.ts"))
            self.assertEqual(whole.status, 200)
            self.assertNotIn(b"evil", whole.body)

    def test_conditions_and_ranges_together(self):
        up = self.stored()
        url = up.url("/a.ts")
        date = TAGGED["Last-Modified"]
        for headers, code in (
            # RFC 9110 13.2.2: first If-None-Match, then If-Modified-Since, then Range.
            ({"Range": "bytes=0-9", "If-None-Match": '"v1"'}, 304),
            ({"Range": "bytes=0-9", "If-None-Match": '"v0"'}, 206),
            ({"Range": "bytes=0-9", "If-None-Match": '"v0"', "If-Range": '"v0"'}, 200),
            ({"Range": "bytes=0-9", "If-None-Match": '"v0"', "If-Range": '"v1"'}, 206),
            ({"Range": "bytes=0-9", "If-Modified-Since": date}, 304),
            ({"Range": "bytes=0-9", "If-Range": "*"}, 200),
            ({"Range": "bytes=0-9", "If-Range": '"v1", "v2"'}, 200),
            ({"If-Range": '"v1"'}, 200),
            ({"Range": "bytes=5000-", "If-Range": '"v0"'}, 200),
            ({"Range": "bytes=5000-", "If-Range": '"v1"'}, 416),
            ({"Range": "bytes=5000-", "If-None-Match": '"v1"'}, 304),
        ):
            response = self.proxy().stream(url, headers)
            self.assertEqual((response.status, response[OUTCOME]), (code, "hit"), headers)
            self.assertEqual(len(response.body), {206: 10, 200: 1000}.get(code, 0), headers)
        self.assertEqual(len(up.requests), 1)

    def test_a_weak_tag_never_continues_a_body(self):
        # RFC 9110 13.1.5 asks for the strong comparison, 13.1.2 for the weak one.
        up = self.stored({**LONG, "ETag": 'W/"v1"'})
        url = up.url("/a.ts")
        for tag in ('W/"v1"', '"v1"'):
            part = self.proxy().stream(url, {"Range": "bytes=0-9", "If-Range": tag})
            self.assertEqual((part.status, len(part.body)), (200, 1000), tag)
            same = self.proxy().stream(url, {"If-None-Match": tag})
            self.assertEqual(same.status, 304, tag)

    def test_a_date_of_change_that_may_be_that_of_two_answers_does_not_continue_a_body(self):
        # RFC 9110 8.8.2.2: weak unless the answer is younger by a second.
        for older, code in ((0, 200), (1, 206), (60, 206)):
            now = int(time.time())
            fields = {**LONG, "Date": formatdate(now, usegmt=True),
                      "Last-Modified": formatdate(now - older, usegmt=True)}
            up = self.stored(fields)
            condition = {"Range": "bytes=0-9", "If-Range": fields["Last-Modified"]}
            response = self.proxy().stream(up.url("/a.ts"), condition)
            self.assertEqual((response.status, response[OUTCOME]), (code, "hit"), older)

    def test_a_304_has_the_fields_that_update_a_store(self):
        # RFC 9110 15.4.5.
        fields = {**TAGGED, "Vary": "Accept-Encoding", "Date": "Sun, 06 Nov 1994 08:50:00 GMT",
                  "Expires": "Sun, 06 Nov 1994 08:51:00 GMT"}
        up = self.stored(fields)
        response = self.proxy().stream(up.url("/a.ts"), {"If-None-Match": '"v1"'})
        self.assertEqual(response.status, 304)
        for name in ("Cache-Control", "ETag", "Vary", "Date", "Expires"):
            self.assertEqual(response[name], fields[name])
        self.assertIsNotNone(response["Age"])
        for name in ("Content-Range", "Transfer-Encoding", "Content-Encoding"):
            self.assertIsNone(response[name])

    def test_a_link_has_neither_ranges_nor_conditions(self):
        # An answer to them would be stored for all, or confirm what another client has.
        up = self.stored()
        for name in ("Range", "If-Range", "If-None-Match", "If-Modified-Since", "Accept-Encoding"):
            response = self.proxy().stream(up.url("/a.ts"), **{f"h_{name}": "bytes=0-9"})
            self.assert_error(response, 400, "bad_request")


class Answers(CacheTest):
    def test_a_clock_that_is_wrong_changes_nothing(self):
        for minutes in (-60 * 24 * 365, -90, -1, 1, 90):
            now = time.time() + minutes * 60
            date = formatdate(now, usegmt=True)
            for fields, outcome in (
                ({"Cache-Control": "max-age=30"}, "hit"),
                ({"Expires": formatdate(now + 30, usegmt=True)}, "hit"),
                ({"Expires": formatdate(now - 1, usegmt=True)}, "miss"),
            ):
                up = self.numbered({"Date": date, **fields})
                self.assertEqual(self.outcomes(up), ["miss", outcome], (minutes, fields))

    def test_a_date_that_is_none_changes_nothing(self):
        for date in ("yesterday", "", "0", "Sun, 99 Foo 2026 08:49:37 GMT"):
            up = self.numbered({"Date": date, "Cache-Control": "max-age=60"})
            self.assertEqual(self.outcomes(up), ["miss", "hit"], date)

    def test_an_age_has_its_first_value(self):
        # RFC 9111 5.1.
        for age, outcome in (("600", "miss"), ("600, 0", "miss"), ("0, 600", "hit"),
                             ("-600", "hit"), ("600.5", "hit"), ("old", "hit"), ("", "hit"),
                             ("99999999999999999999999", "miss")):
            up = self.numbered({**LONG, "Age": age})
            self.assertEqual(self.outcomes(up), ["miss", outcome], age)
        up = self.numbered({**LONG, "Age": "7, 3"})
        self.outcomes(up, 1)
        self.assertEqual(self.proxy().stream(up.url("/a.ts"))["Age"], "7")

    def test_the_time_that_the_upstream_takes_for_the_head_counts_as_age(self):
        # RFC 9111 4.2.3: corrected_age_value.
        slow = ok(BODY, {"Cache-Control": "max-age=1", "ETag": '"v"'}, content_type="video/mp2t")
        slow.delay = 1.3
        up = self.upstream(lambda _: slow)
        self.assertEqual(self.outcomes(up), ["miss", "miss"])
        slow = ok(BODY, {"Cache-Control": "max-age=60", "Age": "7"}, content_type="video/mp2t")
        slow.delay = 1.3
        up = self.upstream(lambda _: slow)
        self.proxy().stream(up.url("/a.ts"))
        response = self.proxy().stream(up.url("/a.ts"))
        self.assertEqual(response[OUTCOME], "hit")
        self.assertGreaterEqual(int(response["Age"]), 8)

    def test_directives_inside_a_text_do_not_count(self):
        for value, outcome in (
            ('x="a, max-age=60, b", max-age=0', "miss"),
            ('x="a, s-maxage=60, b", max-age=0', "miss"),
            ('x="\\", s-maxage=60, b", max-age=0', "miss"),
            ('x="no-cache, max-age=0", max-age=60', "hit"),
            ('x="a, private", max-age=60', "hit"),
            ('max-age="60"', "hit"),
            # A text without an end is none.
            ('x="a, max-age=60, no-store', "pass"),
        ):
            up = self.numbered({"Cache-Control": value})
            expected = ["pass", "pass"] if outcome == "pass" else ["miss", outcome]
            self.assertEqual(self.outcomes(up), expected, value)

    def test_an_answer_to_everyone_is_not_one_for_credentials(self):
        for value in ("public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60"):
            up = self.numbered({"Cache-Control": value})
            # RFC 9111 3.5 would allow it; a secret of a link is kept from the store anyway.
            for parameters in ({"h_Authorization": "Basic eDp5"}, {"h_Cookie": "a=1"}):
                self.assertEqual(self.outcomes(up, **parameters), ["pass", "pass"], value)
            self.assertEqual(self.outcomes(up), ["miss", "hit"], value)

    def test_set_cookie_reaches_nobody(self):
        for cookie in ("a=1", "a=1; Max-Age=0", "a=1; Domain=other.example", "broken"):
            up = self.numbered({**LONG, "Set-Cookie": cookie})
            for _ in range(2):
                self.assertIsNone(self.proxy().stream(up.url("/a.ts"))["Set-Cookie"], cookie)

    def test_a_field_with_one_name_is_not_from_the_upstream(self):
        fields = {**LONG, OUTCOME: "evil", "X-Streamgate-Error": "evil", "X-Streamgate-Id": "evil"}
        up = self.numbered(fields)
        for outcome in ("miss", "hit"):
            response = self.proxy().stream(up.url("/a.ts"))
            self.assertEqual(response[OUTCOME], outcome)
            self.assertNotIn("evil", repr(response.fields))

    def test_a_document_that_breaks_is_not_stored(self):
        text = LIST.encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n"
        head += b"Cache-Control: max-age=600\r\n"
        for broken in (
            Answer(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n#EXTM\r\n", "close"),
            Answer(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (
                len(text), text), "close"),
            Answer(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\nx" % (
                len(text), text), "close"),
            Answer(head + b"\r\n" + text, "reset"),
            Answer(head + b"Content-Length: 9999\r\n\r\n" + text, "close"),
        ):
            with self.subTest(broken.data[-30:]):
                up = self.upstream([broken, playlist(LIST, LONG)])
                first = self.proxy().stream(up.url("/i.m3u8"))
                self.assertFalse(first.complete and first.status == 200)
                for outcome in ("miss", "hit"):
                    response = self.proxy().stream(up.url("/i.m3u8"))
                    self.assertEqual((response.status, response[OUTCOME]), (200, outcome))
                    self.assertIn("s.ts", response.text)

    def test_a_stale_answer_is_given_to_nobody(self):
        # RFC 5861 would allow it. A player takes an old playlist for a stream that stands still.
        stale = {"Cache-Control": "max-age=0, stale-while-revalidate=600, stale-if-error=600"}
        for tag in ({}, {"ETag": '"v1"'}):
            up = self.upstream([ok(b"old", {**stale, **tag}), status(500, body=b"broken"),
                                Answer(b"junk\r\n\r\n", "close"), ok(b"new", stale)])
            got = [self.proxy().stream(up.url("/a.ts")) for _ in range(4)]
            self.assertEqual([r.status for r in got], [200, 500, 502, 200])
            self.assertEqual(got[3].body, b"new")
            self.assertNotIn("hit", [r[OUTCOME] for r in got])

    def test_no_status_but_200_is_stored(self):
        for code in (201, 203, 204, 205, 206, 300, 304, 400, 404, 405, 410, 414, 429, 451, 500,
                     501, 502, 503, 504, 599, 999):
            up = self.upstream(
                lambda _, code=code: status(code, {**LONG, "ETag": '"v"'},
                                            b"" if code in (204, 205, 304) else b"body")
            )
            for _ in range(2):
                response = self.proxy().stream(up.url("/a.ts"))
                self.assertNotEqual(response[OUTCOME], "hit", code)
            for request in up.requests:
                self.assertIsNone(request["If-None-Match"], code)

    def test_an_error_after_an_answer_does_not_replace_its_time(self):
        # Poisoning by an error (CPDoS): the next request gets the upstream's answer again.
        for error in (status(400), status(404), status(500), Answer(b"junk\r\n\r\n", "close")):
            up = self.upstream([error, ok(BODY, LONG, content_type="video/mp2t")])
            self.assertGreaterEqual(self.proxy().stream(up.url("/a.ts")).status, 400)
            self.assertEqual(self.proxy().stream(up.url("/a.ts")).body, BODY)
            self.assertEqual(self.outcomes(up, 1), ["hit"])


class Variants(CacheTest):
    def test_vary(self):
        for value, shared in (
            ("Accept-Encoding", True), ("accept-encoding , ORIGIN", True), ("", True), (",,", True),
            ("*", False), ("Accept-Encoding, *", False), ("Accept-Encoding;q=1", False),
            ("Accept", False), ("X-Forwarded-Host", False), ("Range", False),
            (", ".join(["Accept-Encoding"] * 500), True),
            (", ".join(["Accept-Encoding"] * 500 + ["Cookie"]), False),
        ):
            up = self.numbered({**LONG, "Vary": value})
            expected = ["miss", "hit"] if shared else ["pass", "pass"]
            self.assertEqual(self.outcomes(up), expected, value[:60])

    def test_a_coding_that_nobody_asked_for_is_that_of_the_upstream(self):
        coded = {**LONG, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        up = self.upstream(lambda _: ok(gzip.compress(BODY), coded, content_type="video/mp2t"))
        for accepted, outcome in (("gzip", "miss"), ("identity", "hit"), ("br", "hit")):
            response = self.proxy().stream(up.url("/a.ts"), {"Accept-Encoding": accepted})
            self.assertEqual((response[OUTCOME], response["Content-Encoding"]), (outcome, "gzip"))
            self.assertEqual(gzip.decompress(response.body), BODY)
        self.assertEqual([r["Accept-Encoding"] for r in up.requests], ["identity"])

    def test_urls_that_are_written_differently(self):
        up = self.numbered(LONG)
        proxy = self.proxy()
        base = up.url("")
        for path in ("/d/a.ts", "/d/a.ts?", "/d/a.ts?x", "/d/A.ts", "/d%2Fa.ts", "/d//a.ts",
                     "/d/a.ts;x", "/d/a.ts%3Fx", "/d/a.ts/b.css", "/d/a.ts%00.css",
                     "/d/a.ts%0d%0aX:1"):
            first = proxy.stream(base + path)
            if first.status == 200:
                self.assertEqual(first[OUTCOME], "miss", path)
        for same in (base.replace("http", "HTTP") + "/d/a.ts", base + "/d/a.ts#fragment"):
            self.assertEqual(proxy.stream(same)[OUTCOME], "hit", same)


class Growing(CacheTest):
    HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: 1000\r\n"
            b"ETag: \"v1\"\r\nCache-Control: max-age=600\r\n\r\n")

    def growing(self):
        """A body of which half has come."""
        gate = threading.Event()
        self.addCleanup(gate.set)
        body = bytes(range(250)) * 4
        up = self.upstream(
            lambda _: Answer(self.HEAD + body[:500], body=lambda: [body[500:]], wait=gate)
        )
        client = self.proxy().connect()
        self.addCleanup(client.close)
        client.request(stream_path(up.url("/a.ts")))
        client.head = client.read_head()
        return up, gate, client, body

    def begin(self, url, headers):
        client = self.proxy().connect()
        self.addCleanup(client.close)
        client.request(stream_path(url), headers)
        return client

    def test_ranges(self):
        up, gate, first, body = self.growing()
        url = up.url("/a.ts")
        # What has come is answered at once, and so is what will never come.
        for asked, code, part in (
            ("bytes=0-99", 206, body[:100]), ("bytes=400-499", 206, body[400:500]),
            ("bytes=1000-", 416, b""),
        ):
            response = self.proxy().stream(url, {"Range": asked})
            self.assertEqual((response.status, response.body), (code, part), asked)
            self.assertEqual(response[OUTCOME], "shared")
        waiting = {}
        for asked, begin, end in (("bytes=450-549", 450, 550), ("bytes=-10", 990, 1000),
                                  ("bytes=900-", 900, 1000)):
            waiting[asked] = (self.begin(url, {"Range": asked}), begin, end)
        client = waiting["bytes=450-549"][0]
        head = client.read_head()
        wait_until(lambda: len(client.pending) >= 50 or not client.receive_more())
        self.assertEqual((head.status, client.pending), (206, body[450:500]))
        client.read_head = lambda: head
        gate.set()
        for client, begin, end in waiting.values():
            head = client.read_head()
            client.read_body(head)
            self.assertEqual((head.status, head.body), (206, body[begin:end]))
            self.assertEqual(head["Content-Range"], f"bytes {begin}-{end - 1}/1000")
        first.read_body(first.head)
        self.assertEqual(first.head.body, body)
        self.assertEqual(len(up.requests), 1)

    def test_conditions(self):
        up, gate, _, _ = self.growing()
        url = up.url("/a.ts")
        for headers, code in (({"If-None-Match": '"v1"'}, 304), ({"If-None-Match": "*"}, 304),
                              ({"Range": "bytes=0-9", "If-Range": '"v1"'}, 206)):
            self.assertEqual(self.proxy().stream(url, headers).status, code)
        wrong = self.begin(url, {"Range": "bytes=0-9", "If-Range": '"v0"'})
        self.assertEqual(wrong.read_head().status, 200)
        gate.set()
        self.assertEqual(len(up.requests), 1)


@unittest.skipUnless(can_mount(), "this user cannot mount an /etc/resolv.conf for the proxy")
class Waiting(CacheTest):
    def test_many_clients_without_a_descriptor_try_a_few_times(self):
        # A limit of the client that asked first looks the same to the others, so they ask again,
        # but together: about once for each turn in which some of them get the failure.
        gate = threading.Event()
        self.addCleanup(gate.set)

        def script(question):
            gate.wait(30)
            return question.answer(v4=["127.0.0.1"])

        up = self.upstream(ok(BODY))
        names = NameServer(script)
        self.addCleanup(names.stop)
        folder = tempfile.mkdtemp(prefix="streamgate-names-")
        self.addCleanup(shutil.rmtree, folder, True)
        settings = {**self.settings, "workers": 1, "upstream": {"dns_timeout": "30s"}}
        proxy = self.adopt(proxy_with_names(folder, names.line, settings))
        clients = []
        for _ in range(60):
            clients.append(proxy.connect())
            self.addCleanup(clients[-1].close)
            clients[-1].request(stream_path(up.url("/a.ts", host="a.test")))

        def are_waiting():
            proxy.send_signal(signal.SIGUSR2)
            return len({e["client"] for e in proxy.events_named("exchange.live")}) == 60

        wait_until(are_waiting, what="waiting clients")
        pid = proxy.workers()[0]
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, limits[1]))
        gate.set()
        for client in clients:
            self.assert_error(client.read_response(), 503, "overloaded")
        proxy.wait_for_access(60)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)  # for the sanitizer at the end
        outcomes = [entry["cache"] for entry in proxy.access_log()]
        self.assertGreaterEqual(outcomes.count("shared"), 40)


if __name__ == "__main__":
    main()
