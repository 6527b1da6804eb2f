"""Requests as players and the people who make links for them write them."""

from urllib.parse import quote

from harness import ProxyTest, link_target, main, stream_path, wait_until
from upstream import Answer, ok, playlist, status


def encoded(text):
    return quote(text, safe="")


class Targets(ProxyTest):
    def assert_plays(self, target, expected):
        """`UP` in the target is the upstream's origin, `UP%` the same percent-encoded."""
        up = self.upstream(lambda _: ok(b"media"))
        target = target.replace("UP%", encoded(up.origin)).replace("UP", up.origin)
        with self.proxy().connect() as client:
            host = f"Host: {self.proxy().host}\r\nConnection: close\r\n\r\n"
            client.send(f"GET {target} HTTP/1.1\r\n{host}".encode())
            response = client.read_response()
        self.assertEqual((response.status, response.body), (200, b"media"), (target, response))
        self.assertEqual(up.targets(), [expected], target)

    def test_utf_8_may_stand_as_it_is(self):
        self.assert_plays("/stream?url=UP/直播/1.ts?a=你", "/%E7%9B%B4%E6%92%AD/1.ts?a=%E4%BD%A0")
        self.assert_plays("/stream/直.ts?url=UP%%2F1.ts&name=你", "/1.ts?name=%E4%BD%A0")
        self.assert_plays("http://proxy.example/stream?url=UP/é", "/%C3%A9")
        with self.proxy().connect() as client:
            client.send("GET /stream?url=http://h/ HTTP/1.1\r\nHost: hé\r\n\r\n".encode())
            self.assert_error(client.read_response(), 400, "bad_request")

    def test_a_referer_is_spelled_as_for_a_browser(self):
        for spelled, sent in (
            ("http://bücher.example/中 文?q=ü#t", "/%E4%B8%AD%20%E6%96%87?q=%C3%BC"),
            (" http:\\\\bücher.example/a ", "/a"),
        ):
            up = self.upstream(ok(b"x"))
            self.assertEqual(self.proxy().stream(up.url("/a"), referer=spelled).status, 200)
            origin = "http://xn--bcher-kva.example"
            self.assertEqual(up.requests[0]["Referer"], origin + sent)
            self.assertEqual(up.requests[0]["Origin"], origin)

    def test_several_slashes_at_the_beginning_are_one(self):
        self.assert_plays("//stream?url=UP%%2Fa.ts", "/a.ts")
        self.assert_plays("///api/proxy/stream/x.ts?url=UP%%2Fa.ts", "/a.ts")
        up = self.upstream(ok(b"media"))
        link = up.url("/a//b.ts").replace("://", "/")
        self.assertEqual(self.proxy().ask(f"//at/-/{link}").body, b"media")
        self.assertEqual(up.targets(), ["/a//b.ts"])

    def test_empty_parameters_are_ignored(self):
        for target in (
            "/stream?url=UP%%2Fa.ts&", "/stream?&&url=UP%%2Fa.ts&&", "/stream/?url=UP/a.ts"
        ):
            self.assert_plays(target, "/a.ts")

    def test_other_spellings_of_a_url_are_refused(self):
        for url in ("example.com/a.m3u8", "//example.com/a", "/a", "javascript:alert(1)"):
            self.assert_error(self.proxy().ask(f"/stream?url={encoded(url)}"), 400, "bad_url")
        once = encoded("http://example.com/a")
        for query in (f"url={encoded(once)}", f"url={once}&url={once}"):
            self.assert_error(self.proxy().ask(f"/stream?{query}"), 400, "bad_url")


class Bars(ProxyTest):
    """`URL|` with no `Name=` behind it: browsers send the bar, Kodi requests the part before it."""

    def targets_of(self, path, script, target=None):
        up = self.upstream(script)
        url = encoded(up.origin) + encoded(path)
        response = self.proxy().ask((target or "/stream?url={}").format(url))
        return response, up.targets()

    def test_a_bar_is_sent_if_the_upstream_knows_it(self):
        response, targets = self.targets_of("/a.ts?t=1|2", lambda _: ok(b"media"))
        self.assertEqual((response.body, targets), (b"media", ["/a.ts?t=1%7C2"]))

    def test_the_url_in_front_of_the_bar_is_requested_if_the_whole_one_is_not_known(self):
        for path, refusal in (
            ("/a.ts|VLC", 404),
            ("/a.ts |{'a':1}", 400),
            ("/a.ts|User-Agent: x", 403),
        ):
            plain = path.partition("|")[0].strip()
            response, targets = self.targets_of(
                path, lambda r: status(refusal) if "%7C" in r.target else ok(b"media")
            )
            self.assertEqual((response.status, response.body), (200, b"media"), path)
            self.assertEqual(targets[-1], plain, path)
            # A 403 first gets a second try without Referer and Origin.
            self.assertEqual(len(targets), 3 if refusal == 403 else 2, path)

    def test_no_other_failure_leads_to_the_url_in_front_of_the_bar(self):
        for failure in (429, 500, 503):
            response, targets = self.targets_of("/a.ts|VLC", lambda _: status(failure))
            self.assertEqual((response.status, targets), (failure, ["/a.ts%7CVLC"]))
        response, targets = self.targets_of("/a.ts|VLC", lambda _: Answer(b"", "close"))
        self.assertEqual(response.status, 502)
        self.assertEqual(set(targets), {"/a.ts%7CVLC"})

    def test_the_answer_to_the_url_in_front_of_the_bar_is_final(self):
        response, targets = self.targets_of("/a.ts|VLC", {})
        self.assertEqual((response.status, targets), (404, ["/a.ts%7CVLC", "/a.ts"]))

    def test_other_urls_of_the_link_come_after_the_url_in_front_of_the_bar(self):
        script = {"/b.ts": ok(b"other")}
        up = self.upstream(script)
        for found, targets in (
            (b"other", ["/a.ts%7CVLC", "/a.ts", "/b.ts"]),
            (b"other", ["/b.ts"]),  # the link stays with it
        ):
            answer = self.proxy().stream(up.url("/a.ts|VLC"), sg_alt=up.url("/b.ts"))
            self.assertEqual((answer.body, up.targets()[-len(targets):]), (found, targets))
        script = {"/c.ts": ok(b"plain"), "/d.ts": ok(b"other")}
        up = self.upstream(script)
        answer = self.proxy().stream(up.url("/c.ts|VLC"), sg_alt=up.url("/d.ts"))
        self.assertEqual((answer.body, up.targets()), (b"plain", ["/c.ts%7CVLC", "/c.ts"]))

    def test_a_live_stream_continues_with_the_url_in_front_of_the_bar(self):
        packets = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 5
        body = Answer(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + packets, "close")
        up = self.upstream(lambda r: status(404) if "%7C" in r.target else body)
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/a.ts|VLC"), sg_live="1"), version="1.0")
            client.read_head()
            wait_until(lambda: len(client.pending) >= 2 * len(packets) or not client.receive_more())
            self.assertEqual(client.pending[: 2 * len(packets)], 2 * packets)
        self.assertEqual(up.targets()[:4], 2 * ["/a.ts%7CVLC", "/a.ts"])

    def test_parameters_for_the_upstream_are_in_both(self):
        script = {"/a.ts": ok(b"media")}
        _, targets = self.targets_of("/a.ts|VLC", script, "/stream?url={}&x=1")
        self.assertEqual(targets, ["/a.ts%7CVLC?x=1", "/a.ts?x=1"])

    def test_a_bar_in_a_directory_or_in_the_query_is_part_of_the_url(self):
        for path in ("/a|b/c.ts", "/a.ts?ids=1|2"):
            response, targets = self.targets_of(path, {})
            self.assertEqual((response.status, targets), (404, [path.replace("|", "%7C")]))

    def test_bars_and_blanks_in_front_of_headers_are_skipped(self):
        for bars in ("||", "| |", " | ", "|&"):
            up = self.upstream(lambda _: ok(b"media"))
            self.proxy().stream(up.url(f"/a.ts{bars}User-Agent=Neutral/1.0"))
            self.assertEqual(up.targets(), ["/a.ts"])
            self.assertEqual(up.requests[0]["User-Agent"], "Neutral/1.0")

    def test_a_bar_of_a_token_in_the_query_is_part_of_the_url(self):
        token = "/a.ts?sig=a%2Fb|exp=1&acl=c"
        response, targets = self.targets_of(token, lambda _: ok(b"media"))
        self.assertEqual((response.body, targets), (b"media", [token.replace("|", "%7C")]))
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{token[1:]}\n"
        up = self.upstream(lambda r: playlist(text) if r.path == "/i" else ok(b"media"))
        link = self.proxy().stream(up.url("/i")).text.splitlines()[3]
        self.assertEqual(self.proxy().ask(link_target(link)).body, b"media")
        self.assertEqual(up.targets()[1], token.replace("|", "%7C"))

    def test_an_encoded_bar_is_part_of_the_url(self):
        response, targets = self.targets_of("/a.ts%7CVLC", {})
        self.assertEqual((response.status, targets), (404, ["/a.ts%7CVLC"]))


if __name__ == "__main__":
    main()
