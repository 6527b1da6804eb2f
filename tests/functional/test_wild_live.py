"""A live stream that ends or breaks is requested again and continues in the same response; a body
without a validator is resumed if the configuration accepts that."""

import os
import tempfile
import time

from harness import ProxyTest, main, stream_path, streamgate, wait_until
from upstream import Answer, chunked, ok, redirect, status

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n\r\n"
PACKET = 188


def packets(count, mark):
    """MPEG-TS packets that differ from those of another mark."""
    return (b"\x47\x40\x00\x10" + bytes([mark]) * 184) * count


def live(body, then="close", content_type=b"video/mp2t"):
    return Answer(HEAD % content_type + body, then)


class Live(ProxyTest):
    settings = {"upstream": {"idle_timeout": "400ms"}}

    def play(self, script, size, **parameters):
        """The first bytes of a live link, the upstream, and the access-log line."""
        proxy = self.proxy()
        proxy.mark()
        up = self.upstream(script)
        with proxy.connect() as client:
            client.request(stream_path(up.url("/live"), sg_live="1", **parameters), version="1.0")
            head = client.read_head()
            self.assertEqual(head.status, 200)
            while len(client.pending) < size and client.receive_more():
                pass
        return client.pending, up, proxy.wait_for_access()

    def play_all(self, script, **parameters):
        """The whole response of a live link that ends."""
        proxy = self.proxy()
        proxy.mark()
        up = self.upstream(script)
        response = proxy.stream(up.url("/live"), sg_live="1", **parameters)
        return response, up, proxy.wait_for_access()

    def test_a_stream_that_ends_or_breaks_continues_in_the_same_response(self):
        for then in ("close", "reset", "stall"):
            with self.subTest(then):
                answers = [live(packets(4, 1), then), live(packets(4, 2), "stall")]
                body, up, entry = self.play(answers, 8 * PACKET)
                self.assertEqual(body, packets(4, 1) + packets(4, 2))
                self.assertEqual(len(up.requests), 2)
                self.assertEqual((entry["discontinuities"], entry["attempts"]), ("1", "2"))

    def test_a_chunked_stream_continues_after_its_last_chunk(self):
        answers = [
            chunked(packets(4, 1), content_type="video/mp2t"),
            chunked(packets(4, 2), content_type="Video/MP2T; x=y", last=False).after("stall"),
        ]
        self.assertEqual(self.play(answers, 8 * PACKET)[0], packets(4, 1) + packets(4, 2))

    def test_ts_is_cut_and_continued_at_a_packet(self):
        answers = [
            live(packets(3, 1) + packets(1, 1)[:100]),
            live(b"\xff" * 77 + packets(3, 2) + packets(1, 2)[:50]),
            live(packets(2, 3), "stall"),
        ]
        body, _, entry = self.play(answers, 8 * PACKET)
        self.assertEqual(body, packets(3, 1) + packets(3, 2) + packets(2, 3))
        self.assertEqual(entry["discontinuities"], "2")

    def test_ts_leaves_complete_if_nothing_follows(self):
        whole = packets(3, 1) + b"\x47rest"
        response, _, entry = self.play_all([live(whole), status(404)])
        self.assertTrue(response.complete)
        self.assertEqual(response.body, whole)
        self.assertNotIn("discontinuities", entry)

    def test_the_kind_is_known_by_type_or_by_bytes(self):
        adts = (b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"\x00" * 9) * 40
        for content_type, first, expected in (
            (b"application/octet-stream", packets(9, 1), 2),
            (b"text/plain", packets(9, 1), 2),
            (b"video/mp4", packets(9, 1), 2),
            (b"audio/aacp", b"no frame", 2),
            (b"audio/mpeg", b"no frame", 2),
            (b"application/ogg", b"no frame", 2),
            (b"application/octet-stream", adts, 2),
            (b"application/octet-stream", b"OggS\x00\x02" + b"\x00" * 20, 2),
            (b"video/mp4", b"\x00\x00\x00\x18ftypisom" + b"\x00" * 20, 1),
            (b"video/mp2t", b"\x00\x00\x00\x18ftypisom" + b"\x00" * 20, 1),
            (b"application/octet-stream", b"anything", 1),
        ):
            with self.subTest(type=content_type, first=first[:8]):
                answers = [live(first, "close", content_type), status(404)]
                response, up, _ = self.play_all(answers)
                self.assertEqual((response.body, len(up.requests)), (first, expected))

    def test_other_answers_end_the_stream(self):
        for name, answer in {
            "not found": status(404),
            "too many": status(429),
            "partial": status(206, {"Content-Type": "video/mp2t"}, packets(1, 2)),
            "other type": live(packets(4, 2), "close", b"text/html"),
            "without a type": Answer(b"HTTP/1.1 200 OK\r\n\r\n" + packets(4, 2), "close"),
            "a redirect to nowhere": redirect("ftp://x/"),
        }.items():
            with self.subTest(name):
                response, up, _ = self.play_all([live(packets(4, 1)), answer])
                self.assertTrue(response.complete)
                self.assertEqual(response.body, packets(4, 1))
                self.assertEqual(len(up.requests), 2)

    def test_the_guard_is_asked_for_each_request(self):
        victim = self.upstream(live(packets(4, 2)), host="127.0.0.9")
        up = self.upstream([live(packets(4, 1)), redirect(victim.url("/"))])
        proxy = self.proxy(security={"allow_private": [f"127.0.0.1:{up.port}"]})
        response = proxy.stream(up.url("/live"), sg_live="1")
        self.assertTrue(response.complete)
        self.assertEqual((response.body, len(up.requests)), (packets(4, 1), 2))
        self.assertEqual(victim.connections, 0)

    def test_a_stream_that_broke_and_is_not_continued_ends_as_broken(self):
        response, _, entry = self.play_all([live(packets(4, 1), "stall"), status(404)])
        self.assertFalse(response.complete)
        self.assertEqual(entry["reason"], "idle_timeout")

    def test_bodies_with_a_length_partial_bodies_and_plain_links_end(self):
        body = packets(4, 1)
        with_length = ok(body, content_type="video/mp2t")
        partial = {"Content-Type": "video/mp2t", "Content-Range": "bytes 0-751/752"}
        for script, parameters in (
            (with_length, {"sg_live": "1"}),
            (status(206, partial, body, length=False).after("close"), {"sg_live": "1"}),
            (live(body), {}),
            (live(body), {"sg_live": "0"}),
        ):
            up = self.upstream(script)
            response = self.proxy().stream(up.url("/live"), **parameters)
            self.assertEqual((response.body, len(up.requests)), (body, 1))

    def test_the_userinfo_of_a_redirect_is_not_sent_to_the_url_of_the_link(self):
        other = self.upstream([live(packets(4, 1)), live(packets(4, 2))])
        userinfo = redirect(other.url("/x").replace("://", "://u:p@"))
        _, up, _ = self.play([userinfo, status(404)], 8 * PACKET)
        self.assertEqual([r["Authorization"] for r in up.requests], [None, None])

    def test_a_stream_with_titles_ends(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nicy-metaint: 16\r\n\r\n"
        response, up, _ = self.play_all([Answer(head + b"a" * 20, "close"), status(404)])
        self.assertEqual((response.body, len(up.requests)), (b"a" * 20, 1))

    def test_the_delay_doubles_and_server_errors_are_retried(self):
        times = []

        def script(_):
            times.append(time.monotonic())
            return [live(packets(4, 1)), status(503), live(packets(4, 2), "stall")][len(times) - 1]

        body, _, _ = self.play(script, 8 * PACKET)
        self.assertEqual(body, packets(4, 1) + packets(4, 2))
        self.assertTrue(0.9 < times[1] - times[0] < 1.9, times)
        self.assertTrue(1.9 < times[2] - times[1] < 3.5, times)

    def test_the_url_of_the_link_is_requested_again_with_its_cookies(self):
        def script(request):
            if request.path == "/live":
                answer = redirect(f"/at{len(up.requests)}")
                answer.data = answer.data.replace(b"\r\n", b"\r\nSet-Cookie: s=1\r\n", 1)
                return answer
            return live(packets(4, 1), "stall" if len(up.requests) > 2 else "close")

        up = None
        proxy = self.proxy()
        up = self.upstream(script)
        with proxy.connect() as client:
            client.request(stream_path(up.url("/live"), sg_live="1"))
            self.assertEqual(client.read_head().status, 200)
            wait_until(lambda: len(up.requests) == 4)
        self.assertEqual(up.targets(), ["/live", "/at1", "/live", "/at3"])
        self.assertEqual([r["Cookie"] for r in up.requests], [None, "s=1", "s=1", "s=1"])

    def test_the_next_body_is_requested_without_conditions_and_counted(self):
        conditions = {
            "If-None-Match": '"old"',
            "If-Modified-Since": "Thu, 26 Nov 2015 10:00:00 GMT",
        }
        up = self.upstream(None)
        up.script = lambda request: (
            status(304)
            if len(up.requests) > 1 and any(request[name] for name in conditions)
            else live(packets(4, len(up.requests)), "close" if len(up.requests) == 1 else "stall")
        )
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        proxy = self.own_proxy({"pid_file": os.path.join(folder.name, "pid")})
        with proxy.connect() as client:
            client.request(stream_path(up.url("/live"), sg_live="1"), conditions, version="1.0")
            self.assertEqual(client.read_head().status, 200)
            while len(client.pending) < 8 * PACKET and client.receive_more():
                pass
            self.assertEqual(client.pending, packets(4, 1) + packets(4, 2))
        self.assertEqual(up.requests[0]["If-None-Match"], '"old"')
        proxy.wait_for_access()
        totals = streamgate("-c", proxy.config_file, "-s", "status").stdout
        self.assertIn(" upstream_reconnects=1", totals)

    def test_a_client_that_leaves_ends_it(self):
        body, up, entry = self.play([live(packets(4, 1))], 4 * PACKET)
        self.assertEqual(body, packets(4, 1))
        self.assertEqual((entry["reason"], len(up.requests)), ("client_gone", 1))

    def test_children_do_not_inherit_sg_live(self):
        up = self.upstream(ok(b"#EXTM3U\n#EXTINF:1,\na.ts\n", content_type="audio/mpegurl"))
        self.assertNotIn("sg_live", self.proxy().stream(up.url("/l"), sg_live="1").text)


class Configured(ProxyTest):
    def requests_of(self, upstream, link, answers):
        up = self.upstream(answers)
        response = self.proxy(upstream=upstream).stream(up.url("/live"), **link)
        self.assertTrue(response.body.startswith(packets(4, 1)))
        return len(up.requests)

    def test_reconnect_never_and_always(self):
        answers = [live(packets(4, 1)), status(404)]
        self.assertEqual(self.requests_of({"reconnect": "never"}, {"sg_live": "1"}, answers), 1)
        answers = [live(packets(4, 1)), status(404)]
        self.assertEqual(self.requests_of({"reconnect": "always"}, {}, answers), 2)

    def test_a_host_has_its_own_reconnect(self):
        for wanted, link, expected in (("always", {}, 2), ("never", {"sg_live": "1"}, 1)):
            answers = [live(packets(4, 1)), status(404)]
            hosts = {"hosts": {"127.0.0.1": {"reconnect": wanted}}}
            self.assertEqual(self.requests_of(hosts, link, answers), expected)

    def test_reconnect_attempts_bound_the_attempts(self):
        for most in (0, 1):
            answers = [live(packets(4, 1))]
            wanted = {"reconnect": "always", "reconnect_attempts": most}
            self.assertEqual(self.requests_of(wanted, {}, answers), 1 + most)


CONTENT = bytes(range(256)) * 4000


class Unverified(ProxyTest):
    """Upstreams that cut a body of known length and give no validator."""

    def origin(self, cut, first=(), rest=(), whole=len(CONTENT)):
        def script(request):
            asked = request["Range"]
            begin = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
            fields = list(rest if asked else first)
            if asked:
                fields.append(("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{whole}"))
            answer = status(206 if asked else 200, fields, CONTENT[begin:])
            if asked:
                return answer
            return Answer(answer.data[: cut - len(CONTENT)], "close")

        return self.upstream(script)

    def stream(self, up, accepted=True):
        settings = {"resume_unverified": True} if accepted else {}
        return self.proxy(upstream=settings).stream(up.url("/a.mp4"))

    def test_the_rest_is_accepted_if_the_length_is_the_same(self):
        weak, date = ("ETag", 'W/"1"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
        for fields in ([], [weak], [date]):
            up = self.origin(300_000, fields, fields)
            response = self.stream(up)
            self.assertTrue(response.complete and response.body == CONTENT, fields)
            self.assertEqual(up.requests[1]["Range"], f"bytes=300000-{len(CONTENT) - 1}")
            self.assertIsNone(up.requests[1]["If-Range"])

    def test_another_length_or_another_weak_validator_is_refused(self):
        for up in (
            self.origin(300_000, whole=len(CONTENT) + 1),
            self.origin(300_000, [("ETag", 'W/"1"')], [("ETag", 'W/"2"')]),
        ):
            response = self.stream(up)
            self.assertFalse(response.complete)
            self.assertEqual(len(up.requests), 2)

    def test_it_is_off_by_default(self):
        up = self.origin(300_000)
        self.assertFalse(self.stream(up, accepted=False).complete)
        self.assertEqual(len(up.requests), 1)


if __name__ == "__main__":
    main()
