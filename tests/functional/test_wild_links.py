"""URLs as people and servers spell them, playlists as servers send them, and odd h_ parameters."""

import json
import tempfile
from urllib.parse import quote, unquote

from harness import ProxyTest, main, stream_path, streamgate
from upstream import ok, playlist, redirect

MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n"


class Urls(ProxyTest):
    settings = {"limits": {"request_line": "64KiB", "request_head": "128KiB"}}

    def assert_plays(self, url, target, host=None):
        up = self.upstream(lambda _: ok(b"media"))
        url = url.replace("PORT", str(up.port))
        response = self.proxy().stream(url)
        self.assertEqual((response.status, response.body), (200, b"media"), (url, response))
        self.assertEqual(up.targets(), [target])
        if host:
            self.assertEqual(up.requests[0]["Host"], f"{host}:{up.port}")

    def test_blanks_and_line_ends_around_the_url_are_trimmed(self):
        self.assert_plays("http://127.0.0.1:PORT/a.ts \n", "/a.ts")
        self.assert_plays(" \r\n\thttp://127.0.0.1:PORT/a.ts", "/a.ts")

    def test_a_plus_is_part_of_the_url(self):
        up = self.upstream(lambda _: ok(b"media"))
        self.proxy().ask("/stream?url=" + up.url("/a.ts") + "+")
        self.assertEqual(up.targets(), ["/a.ts+"])

    def test_a_url_may_be_as_long_as_the_request_line(self):
        self.assert_plays("http://127.0.0.1:PORT/" + "a" * 60_000, "/" + "a" * 60_000)

    def test_hosts_in_any_script_become_ascii(self):
        self.assert_plays("http://ｌｏｃａｌｈｏｓｔ:PORT/你.ts", "/%E4%BD%A0.ts", "localhost")
        self.assert_plays("http://１２７.0.0．1:PORT/a.ts", "/a.ts", "127.0.0.1")

    def test_a_host_in_any_script_is_checked_like_an_address(self):
        response = self.proxy(security={}).stream("http://１２７.0.0.1:8081/a.ts")
        self.assert_error(response, 403, "target_forbidden")

    def test_backslashes_are_slashes_and_missing_slashes_are_added(self):
        self.assert_plays("http:\\\\127.0.0.1:PORT\\a\\b.ts?c\\d", "/a/b.ts?c%5Cd")
        self.assert_plays("http:/127.0.0.1:PORT/a.ts", "/a.ts")
        self.assert_plays("http:127.0.0.1:PORT/a.ts", "/a.ts")
        self.assert_plays("http:////127.0.0.1:PORT/a.ts", "/a.ts")

    def test_redirects_lead_where_a_browser_goes(self):
        for location, target in (
            ("\\b.ts", "/b.ts"),
            ("http:/b.ts", "/b.ts"),
            ("http:b.ts", "/dir/b.ts"),
            ("..\\b.ts", "/b.ts"),
            ("http://ｌｏｃａｌｈｏｓｔ:PORT/b.ts", "/b.ts"),
            ("\\\\127.0.0.1:PORT\\b.ts", "/b.ts"),
            ("/b\t.t\ts", "/b.ts"),
            ("b.ts?a b|c#d", "/dir/b.ts"),
            (";b.ts", "/dir/;b.ts"),
        ):
            with self.subTest(location):
                up = self.upstream(None)
                sent = location.replace("PORT", str(up.port)).encode().decode("latin-1")
                up.script = {"/dir/a": redirect(sent), target: ok(b"media")}
                response = self.proxy().stream(up.url("/dir/a"))
                self.assertEqual((response.status, response.body), (200, b"media"), response)

    def test_children_lead_where_a_browser_goes(self):
        up = self.upstream(None)
        up.script = {
            "/dir/list": playlist(
                "#EXTM3U\n\\b.ts\nhttp:/c.ts\nhttp:d.ts\nhttp://直播.example:8080/e.ts\n"
                "http://i❤.ws/i.ts\n"
                "\\\\up.example\\f.ts\nhttps:\\g.example/h.ts\n"
            )
        }
        body = self.proxy().stream(up.url("/dir/list")).text
        links = [unquote(x.partition("url=")[2]) for x in body.splitlines() if "url=" in x]
        self.assertEqual(
            links,
            [
                up.url("/b.ts"),
                up.url("/c.ts"),
                up.url("/dir/d.ts"),
                "http://xn--z6ut02b.example:8080/e.ts",
                "http://xn--i-7iq.ws/i.ts",
                "http://up.example/f.ts",
                "https://g.example/h.ts",
            ],
        )


class Playlists(ProxyTest):
    def assert_rewritten(self, answer, path="/p/index.m3u8", front=""):
        up = self.upstream(answer)
        proxy = self.proxy()
        response = proxy.stream(up.url(path))
        link = f"{proxy.origin}/stream?url={quote(up.url('/p/a.ts'), safe='')}"
        self.assertEqual(response.text, front + MEDIA.replace("a.ts", link))
        self.assertIn("mpegurl", response["Content-Type"])

    def test_text_in_front_of_the_header_is_left_out(self):
        for junk in ("\ufeff", "\ufeff\ufeff", "<!-- cached -->", "\x01", "0;"):
            with self.subTest(junk):
                self.assert_rewritten(playlist(junk + MEDIA))
                self.assert_rewritten(playlist(junk + MEDIA).bytewise())
                html = playlist(junk + MEDIA, content_type="text/html")
                self.assert_rewritten(html, "/p/live.php")

    def test_messages_of_php_in_front_of_the_header_are_left_out(self):
        messages = "<br />\n<b>Notice</b>:  Undefined index: x in <b>/a.php</b><br />\r\n\r\n"
        for content_type, path in (("text/html", "/p/get.php"), ("audio/x-mpegurl", "/p/list")):
            answer = playlist(messages + MEDIA, content_type=content_type)
            self.assert_rewritten(answer, path, "\r\n")
            self.assert_rewritten(answer.bytewise(), path, "\r\n")

    def test_a_message_of_php_may_have_several_lines(self):
        message = (
            "<br />\n<b>Fatal error</b>:  Uncaught Exception: no\nat in /a.php:3\nStack trace:\n"
            "#0 /a.php(9): f()\n#EXTRA {main}\n  thrown in <b>/a.php</b> on line <b>3</b><br />\n"
        )
        for content_type, path in (("text/html", "/p/get.php"), ("audio/x-mpegurl", "/p/list")):
            answer = playlist(message + MEDIA, content_type=content_type)
            self.assert_rewritten(answer, path)
            self.assert_rewritten(answer.bytewise(), path)

    def test_a_page_that_shows_a_playlist_is_no_playlist(self):
        page = f"<!DOCTYPE html>\n<pre>\n{MEDIA}</pre>\n".encode()
        up = self.upstream(ok(page, content_type="text/html"))
        self.assertEqual(self.proxy().stream(up.url("/p/help.php")).body, page)

    def test_a_script_that_names_the_header_is_no_playlist(self):
        script = b'<script>var list = "#EXTM3U\\n";</script>\n'
        up = self.upstream(ok(script, content_type="text/html"))
        self.assertEqual(self.proxy().stream(up.url("/p/player.php")).body, script)

    def test_utf_16_leaves_as_utf_8(self):
        for coding in ("utf-16-le", "utf-16-be"):
            with self.subTest(coding):
                data = ("\ufeff" + MEDIA).encode(coding)
                self.assert_rewritten(playlist(data))
                self.assert_rewritten(playlist(data).bytewise())
                self.assert_rewritten(ok(data, content_type="video/mp2t"), "/p/live")
        name = "\ufeff#EXTM3U\n#EXTINF:-1,直播 😀\nhttp://up.example/直.ts\n".encode("utf-16")[2:]
        text = self.proxy().stream(self.upstream(playlist(name)).url("/a.m3u8")).text
        self.assertIn("#EXTINF:-1,直播 😀\n", text)
        self.assertIn("%25E7%259B%25B4.ts\n", text)

    def test_long_utf_16_lists_take_no_memory(self):
        entry = "#EXTINF:-1,直播\nhttp://up.example/{}.ts\n"
        text = "\ufeff#EXTM3U\n" + "".join(entry.format(i) for i in range(150_000))
        up = self.upstream(playlist(text.encode("utf-16-le")))
        proxy = self.own_proxy()
        proxy.stream(self.upstream(playlist(MEDIA)).url("/a.m3u8"))
        before = proxy.resident_bytes()
        response = proxy.stream(up.url("/list.m3u"))
        self.assertEqual(response.text.count("&"), 0)
        self.assertEqual(response.text.count("/stream?url="), 150_000)
        self.assertLess(proxy.resident_bytes() - before, 12 << 20)

    def test_segments_that_ffmpeg_would_refuse_get_an_extension(self):
        up = self.upstream(playlist(MEDIA.replace("a.ts", "a.jpg") + "#EXT-X-MAP:URI=\"i\"\nb\n"))
        for child_urls in ("query", "named"):
            lines = self.proxy(hls={"child_urls": child_urls}).stream(up.url("/p/i.m3u8")).text
            ends = [line.strip('"')[-12:] for line in lines.splitlines()[3:]]
            self.assertEqual(ends[0][-11:], "&sg_ext=.ts")
            self.assertEqual(ends[1:], ["&sg_ext=.mp4"] * 2)


class HeaderParameters(ProxyTest):
    def test_an_empty_header_is_not_sent(self):
        up = self.upstream(lambda _: playlist("#EXTM3U\na.ts\n"))
        proxy = self.proxy()
        empty = {"h_Origin": "", "h_Referer": "", "h_User-Agent": "", "h_Accept": ""}
        link = proxy.stream(up.url("/list"), **empty).text.splitlines()[1]
        proxy.ask(link[len(proxy.origin) :])
        for request in up.requests:
            for name in ("Origin", "Referer", "User-Agent", "Accept"):
                self.assertIsNone(request[name], request.raw)
        self.assertEqual(len(up.requests), 2)

    def test_a_refused_header_is_named(self):
        for name in (
            "Transfer-Encoding", "CDN-Loop", "Via", "host", "Icy-MetaData", "X-Forwarded-A"
        ):
            response = self.proxy().ask(stream_path("http://127.0.0.1:1/", **{f"h_{name}": "1"}))
            self.assert_error(response, 400, "bad_request")
            self.assertIn(name, json.loads(response.body)["detail"])


class Patterns(ProxyTest):
    def test_a_pattern_in_another_script_is_a_configuration_error(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write("security:\n  allow: [直播.example]\n")
            file.flush()
            done = streamgate("--check", "-c", file.name)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("punycode", done.stdout + done.stderr)


if __name__ == "__main__":
    main()
