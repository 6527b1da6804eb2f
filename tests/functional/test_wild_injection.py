"""Lists, links and cookies that try to inject header fields or to cost much: each is refused or
dropped, and the rest of the list still plays."""

import base64
from urllib.parse import quote

from harness import ProxyTest, main, stream_path
from upstream import ok, playlist, redirect

# Line ends and NUL, encoded once and twice, and as UTF-8 that careless decoders read as line ends.
LINE_ENDS = (
    "a%0d%0aEvil: 1",
    "a%0aEvil: 1",
    "a%0dEvil: 1",
    "a%00b",
    "a%0d%0a Evil: 1",
    "a%250d%250aEvil: 1",
    "a%E5%98%8A%E5%98%8DEvil: 1",
    "a%C0%8D%C0%8AEvil: 1",
    "a%7f",
)


def links_of(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


class Injection(ProxyTest):
    def assert_clean(self, requests):
        for request in requests:
            self.assertNotIn(b"\r\nevil", request.raw.lower())
            for name, value in request.fields:
                self.assertEqual(value.strip("\0\r\n\x7f"), value, name)
            for name in ("Transfer-Encoding", "Content-Length"):
                self.assertIsNone(request[name])

    def play(self, *channels):
        """Requests a list of `channels`, in which UP is the upstream, then each of its links, of
        which the last must play. Returns the requests for the links."""
        up = self.upstream(None)
        text = "\n".join(["#EXTM3U", *channels, "UP/last.ts", ""]).replace("UP", up.origin)
        up.script = lambda r: (
            playlist(text, content_type="audio/x-mpegurl") if r.path == "/list" else ok(b"media")
        )
        proxy = self.proxy()
        response = proxy.stream(up.url("/list"))
        self.assertTrue(response.complete)
        links = links_of(response.text)
        for link in links:
            if link.startswith(proxy.origin) and len(link) < 16_000:  # limits.request_line
                last = proxy.ask(link[len(proxy.origin) :])
        self.assertEqual((last.status, up.requests[-1].target), (200, "/last.ts"))
        self.assert_clean(up.requests)
        return up.requests[1:]

    def test_line_ends_in_the_headers_of_a_list_are_dropped(self):
        channels = []
        for value in LINE_ENDS:
            channels += [
                f"UP/bar|X-Bad={value}&X-Ok=1",
                f"UP/referer|Referer=http://r/{value}&X-Ok=1",
                f"UP/name|X{value.replace(' ', '').replace(':', '')}=1&X-Ok=1",
                f"#KODIPROP:stream_headers=X-Bad={value}&X-Ok=1",
                "UP/kodi",
                f"http://u{value.replace(' ', '')}:p@127.0.0.1:1/userinfo",
            ]
        requests = self.play(*channels)
        self.assertEqual({r["X-Ok"] for r in requests}, {"1", None})
        self.assertEqual(len([r for r in requests if r["X-Ok"]]), 4 * len(LINE_ENDS))

    def test_raw_control_bytes_and_line_ends_in_json_are_dropped(self):
        self.play(
            "#EXTVLCOPT:http-user-agent=a\0b",
            "UP/1",
            "#EXTVLCOPT:http-referrer=http://r/\x01",
            "UP/2",
            "UP/3|User-Agent=a\x7fb&X-Ok=1",
            '#EXTHTTP:{"X-Bad":"a\\r\\nEvil: 1","X-Bad\\r\\nEvil: 1":"a"}',
            "UP/4",
            '#EXTHTTP:{"X-Bad":"\\u000d\\u000aEvil: 1","X-Nul":"\\u0000","":"x","X A":"x"}',
            "UP/5",
            '#EXTHTTP:{"Host":"e","Content-Length":"5","Transfer-Encoding":"chunked"}',
            "UP/6",
            *[f"#EXTHTTP:{text}" for text in ("null", '"x"', "", "{" * 5000, '{"X-A":"\\ud800"}')],
            "UP/7",
        )

    def test_lines_and_headers_without_measure_do_not_end_the_list(self):
        many = [f"H{i}=v" for i in range(10_000)]
        requests = self.play(
            "UP/1|" + "&".join(many),
            "UP/2|X-Long=" + "a" * 9_000 + "&X-Ok=1",
            "#KODIPROP:stream_headers=" + "&".join(many),
            *[f"#EXTVLCOPT:http-user-agent=Agent {i}" for i in range(10_000)],
            "UP/3",
            "UP/" + "|" * 300_000,
            "UP/" + "|a=" * 200_000,
            "UP/" + "$" * 500_000,
            "http://" + "@" * 500_000 + "/",
            "http://" + "\u76f4" * 100_000 + "/",
            "UP/" + "../" * 200_000,
            "UP/x|User-Agent=" + "a" * 2_000_000,  # longer than limits.playlist_line
        )
        by_path = {request.path: request for request in requests}
        self.assertLessEqual(len([n for n, _ in by_path["/1"].fields if n.startswith("H")]), 33)
        self.assertEqual(by_path["/2"]["X-Ok"], "1")
        self.assertEqual(by_path["/3"]["User-Agent"], "Agent 9999")

    def test_an_encoded_name_of_a_directive_stays_encoded(self):
        up = self.upstream(ok(b"media"))
        for name in ("a%0d%0aEvil:%201%0d%0aX", "a%20HTTP/1.1%0d%0aEvil:", "a%00", "a%26b", "a%23"):
            up.requests.clear()
            self.proxy().ask(stream_path(up.url("/a?k=1")) + f"&%5FHLS_{name}=1")
            self.assert_clean(up.requests)
            (request,) = up.requests
            self.assertNotRegex(request.target, r"[\0-\x20#]|&b")

    def test_line_ends_in_a_link_are_refused(self):
        up = self.upstream(ok(b"media"))
        base = stream_path(up.url("/a"))
        for suffix in (
            "&h_X-A=a%0d%0aEvil:1",
            "&h_X-A=a%00",
            "&h_X%0d%0aEvil=1",
            "&h_=1",
            "&referer=http://r/%0d%0aEvil:1",
            "&sg_alt=http://r/%0d%0aEvil:1",
            "".join(f"&h_A{i}=1" for i in range(33)),
        ):
            with self.subTest(suffix[:40]):
                self.assertEqual(self.proxy().ask(base + suffix).status, 400)
        self.assertEqual(up.requests, [])

    def test_line_ends_in_a_location_stay_encoded(self):
        for location in ("/a%0d%0aEvil:1", "http://u%0d%0aEvil:p@HOST/b"):
            up = self.upstream(None)
            up.script = [redirect(location.replace("HOST", up.origin[7:])), ok(b"media")]
            self.assertEqual(self.proxy().stream(up.url("/x")).body, b"media")
            self.assert_clean(up.requests)


class CookiesOfLinks(ProxyTest):
    def cookie_sent(self, text, expected_status=200):
        up = self.upstream(ok(b"media"))
        encoded = base64.urlsafe_b64encode(text.encode("latin-1")).decode().rstrip("=")
        response = self.proxy().ask(f"{stream_path(up.url('/a'))}&sg_c={encoded}")
        self.assertEqual(response.status, expected_status)
        if expected_status != 200:
            return None
        self.assertNotIn(b"\r\nevil", up.requests[0].raw.lower())
        return up.requests[0]["Cookie"]

    def test_malformed_cookies_are_dropped(self):
        good = "ok=1;d=127.0.0.1;p=/"
        self.assertEqual(self.cookie_sent(good), "ok=1")
        for bad in (
            "a=1%0D%0AEvil:1;d=127.0.0.1;p=/",
            "a=1\r\nEvil:1;d=127.0.0.1;p=/",
            "a=1%00;d=127.0.0.1;p=/",
            "a=1%3Bb=2;d=127.0.0.1;p=/",
            "a%0D%0AEvil=1;d=127.0.0.1;p=/",
            "a=1;d=.1;p=/",
            "a=1;d=evil.example;p=/",
            "a=1;d=;p=/",
            "\xff\xfe\0",
        ):
            with self.subTest(bad):
                self.assertEqual(self.cookie_sent(f"{bad} {good}"), "ok=1")

    def test_the_parameter_has_a_limit_and_occurs_once(self):
        many = " ".join(f"c{i}=1;d=127.0.0.1;p=/" for i in range(200))
        self.assertEqual(self.cookie_sent(many[:6000]).count("="), 32)
        self.cookie_sent("a" * 6145, expected_status=400)  # 8194 bytes of base64url
        up = self.upstream(ok(b"media"))
        for suffix in ("&sg_c=YQ&sg_c=YQ", "&sg_c=a%20b", "&sg_c=YQ%3D%3D", "&sg_c=%0d%0a"):
            self.assertEqual(self.proxy().ask(stream_path(up.url("/a")) + suffix).status, 400)

    def test_the_cookies_of_a_playlist_make_links_that_are_served(self):
        up = self.upstream(None)
        cookies = [("Set-Cookie", f"c{i}={'%' * 300}; Path=/") for i in range(60)]
        master = playlist("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", cookies)
        up.script = {"/m": master, "/v.m3u8": ok(b"media")}
        proxy = self.proxy()
        link = links_of(proxy.stream(up.url("/m")).text)[0]
        self.assertEqual(proxy.ask(link[len(proxy.origin) :]).status, 200)
        self.assertIn("=%%%", up.requests[-1]["Cookie"])
        self.assertIn(quote(up.url("/v.m3u8"), safe=""), link)


if __name__ == "__main__":
    main()
