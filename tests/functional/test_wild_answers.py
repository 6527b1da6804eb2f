"""Answers that players take although a strict reader would not, and fields that must not be lost or
invented. tests/README.md names the public reports."""

import tempfile

from harness import ProxyTest, main, stream_path, streamgate
from upstream import Answer, ok, playlist, status

SEGMENTS = ("a.ts", "init.mp4", "a.m4s", "a.m4a", "a.aac", "a.vtt")


class Caching(ProxyTest):
    def test_no_caching_field_is_invented(self):
        up = self.upstream(ok(b"x", {"ETag": '"1"', "Last-Modified": "some day"}))
        for name in SEGMENTS:
            response = self.proxy().stream(up.url("/" + name))
            self.assertEqual((response["Cache-Control"], response["Expires"]), (None, None), name)
            self.assertEqual((response["ETag"], response["Last-Modified"]), ('"1"', "some day"))
        up.script = Answer(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\nlive", "close")
        self.assertEqual(self.proxy().stream(up.url("/live.ts"))["Cache-Control"], None)

    def test_the_caching_fields_of_the_upstream_are_relayed(self):
        said = {
            "Cache-Control": "private, max-age=7",
            "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
            "Date": "Thu, 26 Nov 2026 10:00:00 GMT",
            "Age": "3",
            "Vary": "Accept-Language",
            "Pragma": "no-cache",
        }
        up = self.upstream([ok(b"x", said), playlist("#EXTM3U\n", said)])
        # A playlist may leave compressed.
        for name, more in (("a.ts", ""), ("a.m3u8", ", Accept-Encoding")):
            response = self.proxy().stream(up.url("/" + name))
            expected = {**said, "Vary": said["Vary"] + more}
            self.assertEqual({field: response[field] for field in said}, expected)

    def test_a_playlist_without_a_caching_field_is_no_cache_and_has_no_validator(self):
        up = self.upstream(playlist("#EXTM3U\n", {"ETag": '"1"', "Last-Modified": "some day"}))
        response = self.proxy().stream(up.url("/a.m3u8"))
        self.assertEqual(response["Cache-Control"], "no-cache")
        self.assertEqual((response["ETag"], response["Last-Modified"]), (None, None))
        for field, value in (("Expires", "0"), ("Pragma", "no-cache")):
            up.script = playlist("#EXTM3U\n", {field: value})
            response = self.proxy().stream(up.url("/a.m3u8"))
            self.assertEqual((response["Cache-Control"], response[field]), (None, value))


class OtherOrigins(ProxyTest):
    def answers(self, proxy, headers=()):
        """One of each kind: relayed, rewritten, errors, health, preflights."""
        up = self.upstream(
            {"/a.ts": ok(b"x"), "/a.m3u8": playlist("#EXTM3U\n"), "/304": status(304)}
        )
        for method in ("GET", "HEAD", "OPTIONS"):
            for path in ("/a.ts", "/a.m3u8", "/304", "/404"):
                yield proxy.ask(stream_path(up.url(path)), headers, method)
            for target in ("/health", "/nothing", "/stream?url=ftp://x/"):
                yield proxy.ask(target, headers, method)

    def test_every_answer_may_be_embedded_timed_and_read(self):
        refused = self.proxy().ask("/health", method="POST")  # before its head is read
        for response in [refused, *self.answers(self.proxy())]:
            self.assertEqual(response["Cross-Origin-Resource-Policy"], "cross-origin", response)
            self.assertEqual(response["Timing-Allow-Origin"], "*")
            self.assertEqual(response["Access-Control-Allow-Origin"], "*")
            self.assertIsNone(response["Access-Control-Allow-Credentials"])
            exposed = response["Access-Control-Expose-Headers"].split(", ")
            for name in ("Content-Type", "Age", "Date", "icy-metaint", "icy-name"):
                self.assertIn(name, exposed)

    def test_each_answer_names_the_requesting_origin_of_a_list(self):
        origins = ["https://a.example", "http://b.example:3000"]
        proxy = self.proxy(cors={"allow_origin": origins, "allow_credentials": True})
        for origin in [*origins, "https://other.example", "null"]:
            for response in self.answers(proxy, {"Origin": origin}):
                is_allowed = origin in origins
                self.assertEqual(
                    response["Access-Control-Allow-Origin"], origin if is_allowed else None
                )
                self.assertEqual(
                    response["Access-Control-Allow-Credentials"], "true" if is_allowed else None
                )
                self.assertIn("Origin", response.all("Vary"))
                self.assertEqual(response.all("Timing-Allow-Origin"), origins)

    def test_an_error_before_the_head_is_complete_names_the_requesting_origin(self):
        origins = ["https://a.example", "http://b.example:3000"]
        proxy = self.proxy(cors={"allow_origin": origins}, client={"header_timeout": "300ms"})
        for origin, expected in ((origins[1], origins[1]), ("https://other.example", None)):
            field = f"oRiGin:  {origin} \r\n"
            for head, code in (
                (f"GET /health HTTP/1.1\r\n{field}Bad Name: x\r\n\r\n", 400),
                (f"GET /health HTTP/1.1\r\n{field}Host: a\r\nX: {'a' * 100_000}", 431),
                (f"GET /health HTTP/3.0\r\n{field}\r\n", 505),
                (f"GET /health HTTP/1.1\r\n{field}Host: a\r\n", 408),
            ):
                with self.subTest(head[:60]), proxy.connect() as client:
                    client.send(head.encode())
                    response = client.read_response()
                    self.assertEqual(response.status, code)
                    self.assertEqual(response["Access-Control-Allow-Origin"], expected)
                    self.assertEqual(response["Vary"], "Origin")

    def test_credentials_for_any_origin_are_a_configuration_error(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("workers: 1\ncors:\n  allow_credentials: true\n")
            file.flush()
            done = streamgate("--check", "-c", file.name)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(":3: cors.allow_credentials:", done.stdout + done.stderr)


class Radio(ProxyTest):
    ICY = (
        b"ICY 200 OK\r\nicy-name:Neutral FM\r\nicy-br:128\r\nicy-metaint:16\r\n"
        b"content-type:audio/mpeg\r\n\r\n"
    )

    def test_icy_200_is_http_1_0(self):
        for answer in (Answer(self.ICY + b"mp3", "close"), Answer(self.ICY + b"mp3", "close", 1)):
            up = self.upstream(answer)
            response = self.proxy().stream(up.url("/;stream.mp3"))
            self.assertEqual((response.status, response.body), (200, b"mp3"))
            self.assertTrue(response.complete)
            self.assertEqual(response["Content-Type"], "audio/mpeg")
            self.assertEqual((response["icy-name"], response["icy-br"]), ("Neutral FM", "128"))

    def test_icy_metadata_is_forwarded_and_the_answer_says_where_it_is(self):
        up = self.upstream(Answer(self.ICY + b"mp3", "close"))
        response = self.proxy().stream(up.url("/s"), {"Icy-MetaData": "1"})
        self.assertEqual(up.requests[0]["Icy-MetaData"], "1")
        self.assertEqual(response["icy-metaint"], "16")
        self.proxy().stream(up.url("/s"))
        self.assertIsNone(up.requests[1]["Icy-MetaData"])


class Statuses(ProxyTest):
    def test_a_status_above_599_passes_with_retry_after(self):
        for code in (600, 608, 884, 999):
            up = self.upstream(status(code, {"Retry-After": "7"}, b"reason"))
            response = self.proxy().stream(up.url("/a.ts"))
            self.assertEqual((response.status, response.body), (code, b"reason"))
            self.assertEqual(response["Retry-After"], "7")

    def test_a_408_of_a_connection_that_was_idle_is_not_relayed(self):
        answers = [ok(b"hello"), status(408, {"Connection": "close"}), ok(b"again")]
        up = self.upstream(list(answers))
        for body in (b"hello", b"again"):
            self.assertEqual(self.proxy().stream(up.url("/a.ts")).body, body)
        self.assertEqual([r.connection for r in up.requests], [0, 0, 1])
        up = self.upstream(status(408, {}, b"slow"))
        self.assertEqual(self.proxy().stream(up.url("/a.ts")).status, 408)
        self.assertEqual(len(up.requests), 1)

    def test_a_whole_206_that_was_not_asked_for_is_a_200(self):
        part = {"Content-Range": "bytes 0-4/5", "Accept-Ranges": "bytes"}
        up = self.upstream(status(206, part, b"whole"))
        proxy = self.proxy()
        response = proxy.stream(up.url("/a.ts"))
        self.assertEqual((response.status, response.body), (200, b"whole"))
        self.assertEqual((response["Content-Range"], response["Accept-Ranges"]), (None, "bytes"))
        self.assertEqual(proxy.wait_for_access()["status"], "200")
        response = proxy.stream(up.url("/a.ts"), {"Range": "bytes=0-"})
        self.assertEqual((response.status, response["Content-Range"]), (206, "bytes 0-4/5"))
        up.script = status(206, {"Content-Range": "bytes 0-4/9"}, b"whole")
        response = proxy.stream(up.url("/a.ts"))
        self.assertEqual((response.status, response["Content-Range"]), (206, "bytes 0-4/9"))

    def test_transfer_encoding_identity_is_ignored(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nTransfer-Encoding: identity\r\n"
        for length in (b"", b"Content-Length: 4\r\n"):
            up = self.upstream(Answer(head + length + b"\r\nbody", "close"))
            response = self.proxy().stream(up.url("/a.ts"))
            self.assertEqual((response.body, response.complete), (b"body", True))
            self.assertEqual(response["Content-Length"], "4" if length else None)


class Head(ProxyTest):
    PART = {"Content-Range": "bytes 0-0/1234", "Accept-Ranges": "bytes", "ETag": '"1"'}

    def upstream_that_refuses(self, refusal, answer):
        return self.upstream(lambda request: refusal if request.method == "HEAD" else answer)

    def test_a_refused_head_is_answered_from_a_get_of_the_first_byte(self):
        part = status(206, {**self.PART, "Content-Type": "video/mp4"}, b"x")
        for refusal in (
            *(status(code, {}, b"") for code in (400, 403, 405, 501)),
            Answer(b"", "close"),
            Answer(b"", "reset"),
        ):
            up = self.upstream_that_refuses(refusal, part)
            response = self.proxy().stream(up.url("/a.mp4"), method="HEAD")
            self.assertEqual((response.status, response["Content-Length"]), (200, "1234"))
            self.assertEqual((response["Content-Range"], response["ETag"]), (None, '"1"'))
            self.assertEqual(response["Content-Type"], "video/mp4")
            self.assertEqual(up.requests[-1]["Range"], "bytes=0-0")
            self.assertEqual(up.requests[-1].method, "GET")

    def test_other_answers_to_that_get_are_relayed_without_their_body(self):
        for answer, code, length in (
            (ok(b"whole"), 200, "5"),
            (status(206, {"Content-Range": "bytes 0-0/*"}, b"x"), 200, None),
            (status(416, {"Content-Range": "bytes */0"}), 200, "0"),
            (status(416, {"Content-Range": "bytes */9"}), 416, "0"),
            (status(405, {}, b"never"), 405, "5"),
            (status(404, {}, b"gone"), 404, "4"),
        ):
            up = self.upstream_that_refuses(status(405), answer)
            proxy = self.proxy()
            with proxy.connect() as client:
                client.request("/stream?url=" + up.url("/a"), method="HEAD")
                response = client.read_response("HEAD")
                self.assertEqual((response.status, response["Content-Length"]), (code, length))
                client.request("/health")
                self.assertEqual(client.read_response().status, 200)
            self.assertEqual(len(up.requests), 2)

    def test_a_head_of_a_playlist_announces_no_length(self):
        part = status(206, {**self.PART, "Content-Type": "audio/x-mpegurl"}, b"#")
        up = self.upstream_that_refuses(status(405), part)
        response = self.proxy().stream(up.url("/a"), method="HEAD")
        self.assertEqual((response.status, response["Content-Length"]), (200, None))
        self.assertEqual(response["Content-Type"], "application/vnd.apple.mpegurl")

    def test_an_upstream_that_answers_nothing_is_asked_twice_only(self):
        up = self.upstream(Answer(b"", "close"))
        response = self.proxy().stream(up.url("/a"), method="HEAD")
        self.assertEqual((response.status, response["X-Streamgate-Error"]), (502, "bad_response"))
        self.assertEqual([request.method for request in up.requests], ["HEAD", "GET"])


if __name__ == "__main__":
    main()
