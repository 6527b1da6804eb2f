"""Low-latency HLS: directives reach the upstream, held answers have a limit of their own."""

import threading
from urllib.parse import quote

from harness import ProxyTest, main, wait_until
from upstream import Answer, playlist, status

HEAD = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
LIVE = HEAD + b"""#EXT-X-PART-INF:PART-TARGET=1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3
#EXT-X-PART:DURATION=1,URI="p%s.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p%s.mp4"
#EXT-X-RENDITION-REPORT:URI="../w/i.m3u8",LAST-MSN=1,LAST-PART=1
"""


class Directives(ProxyTest):
    def upstream_target(self, query):
        up = self.upstream(playlist(HEAD))
        target = "/stream?" + query.replace("URL", quote(up.url("/i.m3u8?_HLS_msn=1&a=b"), safe=""))
        self.assertEqual(self.proxy().ask(target).status, 200)
        return up.targets()[-1]

    def test_directives_replace_those_of_the_url(self):
        expected = "/i.m3u8?_HLS_msn=7&a=b&_HLS_part=2"
        for query in (
            "url=URL&_HLS_msn=7&_HLS_part=2",
            "_HLS_msn=7&_HLS_part=2&url=URL",
            "_HLS_msn=7&url=URL&_HLS_part=2",
            "%5FHLS_msn=7&url=URL&%5fHLS%5Fpart=2",
        ):
            with self.subTest(query):
                self.assertEqual(self.upstream_target(query), expected)

    def test_a_query_that_a_player_has_written_anew_reaches_the_same_upstream(self):
        up = self.upstream(playlist(HEAD))
        plain = up.url("/~a%20b(1)*.m3u8?x=%2F+'")
        ours = quote(plain, safe="")
        # URLSearchParams encodes `~()'` and leaves `*`.
        written_anew = quote(plain, safe="*").replace("~", "%7E")
        for encoded in (ours, written_anew):
            self.assertEqual(self.proxy().ask(f"/stream?_HLS_skip=YES&url={encoded}").status, 200)
        self.assertEqual(up.targets(), ["/~a%20b(1)*.m3u8?x=%2F+'&_HLS_skip=YES"] * 2)

    def test_unknown_directives_reach_the_upstream(self):
        self.assertIn("&_HLS_later=%22x%22", self.upstream_target("_HLS_later=%22x%22&url=URL"))


class HeldAnswers(ProxyTest):
    LIMITS = {"first_byte_timeout": "300ms", "blocking_timeout": "20s"}

    def test_a_request_for_a_later_sequence_number_waits_longer(self):
        release = threading.Event()

        def answer(_):
            release.wait(30)
            return playlist(HEAD)

        up = self.upstream(answer)
        self.addCleanup(release.set)
        proxy = self.proxy(upstream=self.LIMITS)
        answers = []
        held = threading.Thread(
            target=lambda: answers.append(proxy.stream(up.url("/i.m3u8"), _HLS_msn="7"))
        )
        held.start()
        wait_until(lambda: len(up.targets()) == 1)
        # This request is sent later and fails first.
        self.assert_error(proxy.stream(up.url("/i.m3u8")), 504, "first_byte_timeout")
        self.assertEqual(answers, [])
        release.set()
        held.join()
        self.assertEqual(answers[0].status, 200)

    def test_blocking_timeout_limits_a_held_answer(self):
        up = self.upstream(Answer(b"", "stall"))
        proxy = self.proxy(upstream={"first_byte_timeout": "20s", "blocking_timeout": "200ms"})
        response = proxy.stream(up.url("/i.m3u8"), _HLS_msn="7")
        self.assert_error(response, 504, "first_byte_timeout")
        by_path = proxy.ask(up.url("/i.m3u8?_HLS_msn=7").replace("http://", "/at/-/http/"))
        self.assert_error(by_path, 504, "first_byte_timeout")

    def test_error_statuses_reach_the_client(self):
        for code in (400, 503):
            response = self.proxy().stream(self.upstream(status(code)).url("/i.m3u8"), _HLS_msn="9")
            self.assertEqual(response.status, code)


class Identity(ProxyTest):
    def lines(self, response):
        return response.body.split(b"\n")

    def uri_of(self, response, tag):
        (line,) = [line for line in self.lines(response) if line.startswith(tag)]
        return line.partition(b'URI="')[2].partition(b'"')[0]

    def test_the_uri_of_a_hint_is_that_of_the_later_part(self):
        up = self.upstream([playlist(LIVE % (b"1", b"2")), playlist(LIVE % (b"2", b"3"))])
        proxy = self.proxy()
        first = proxy.stream(up.url("/v/i.m3u8"), _HLS_msn="1", h_X="1")
        second = proxy.stream(up.url("/v/i.m3u8"), _HLS_msn="2", h_X="1")
        hint = self.uri_of(first, b"#EXT-X-PRELOAD-HINT")
        self.assertEqual(hint, self.uri_of(second, b"#EXT-X-PART:"))
        self.assertTrue(hint.endswith(b"&sg_ext=.mp4"), hint)

    def test_the_uri_of_a_report_is_the_link_of_the_variant(self):
        multivariant = (
            b'#EXTM3U\n#EXT-X-DEFINE:NAME="a",VALUE="b"\n'
            b"#EXT-X-STREAM-INF:BANDWIDTH=1\nv/i.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nw/i.m3u8\n"
        )
        up = self.upstream(
            lambda request: playlist(
                multivariant if request.target == "/m.m3u8" else LIVE % (b"1", b"2")
            )
        )
        proxy = self.proxy()
        variants = [
            line
            for line in self.lines(
                proxy.stream(up.url("/m.m3u8"), referer="https://r.example/", sg_max_height="9")
            )
            if line.startswith(b"http")
        ]
        target = variants[0].decode()[len(proxy.origin) :] + "&_HLS_msn=3"
        self.assertEqual(self.uri_of(proxy.ask(target), b"#EXT-X-RENDITION-REPORT"), variants[1])

    def test_a_session_key_has_the_uri_of_the_key(self):
        session = b'#EXTM3U\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k"\n'
        media = HEAD + b'#EXT-X-KEY:METHOD=AES-128,URI="k"\n'
        up = self.upstream([playlist(session), playlist(media)])
        proxy = self.proxy()
        self.assertEqual(
            self.uri_of(proxy.stream(up.url("/m.m3u8")), b"#EXT-X-SESSION-KEY"),
            self.uri_of(proxy.stream(up.url("/i.m3u8")), b"#EXT-X-KEY"),
        )

    def test_a_delta_update_keeps_its_skip_tag(self):
        text = HEAD + b"#EXT-X-SKIP:SKIPPED-SEGMENTS=20\n#EXTINF:4,\n21.ts\n"
        up = self.upstream(playlist(text))
        proxy = self.proxy()
        response = proxy.stream(up.url("/i.m3u8"), _HLS_skip="YES")
        link = f"{proxy.origin}/stream?url={quote(up.url('/21.ts'), safe='')}".encode()
        self.assertEqual(response.body, text.replace(b"21.ts", link))


class OpenEndedParts(ProxyTest):
    def test_the_bytes_of_a_part_arrive_as_they_are_produced(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def body():
            yield b"5\r\nfirst\r\n"
            go_on.wait(30)
            yield b"4\r\nlast\r\n0\r\n\r\n"

        head = (
            b"HTTP/1.1 206 Partial Content\r\nContent-Type: video/mp4\r\n"
            b"Content-Range: bytes 100-9007199254740991/*\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        up = self.upstream(Answer(head, body=body))
        proxy = self.proxy()
        with proxy.connect() as client:
            client.request(
                "/stream?url=" + quote(up.url("/s.mp4"), safe=""),
                {"Range": "bytes=100-9007199254740991"},
            )
            response = client.read_head()
            self.assertEqual(response.status, 206)
            while b"first" not in client.pending:
                client.receive_more()
            go_on.set()
            while b"last" not in client.pending:
                client.receive_more()
        self.assertEqual(up.requests[0]["Range"], "bytes=100-9007199254740991")


if __name__ == "__main__":
    main()
