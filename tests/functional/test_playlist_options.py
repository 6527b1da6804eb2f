"""Options of playlists, in the configuration and in links; what players report about themselves."""

from urllib.parse import quote

from harness import ProxyTest, main, stream_path
from upstream import ok, playlist

MEDIA = b"""#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-KEY:METHOD=AES-128,URI="k"
#EXTINF:4,
a b.ts
#EXTINF:4,
https://cdn.example/c.ts
"""
MULTIVARIANT = b"""#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=100,RESOLUTION=640x360
low
#EXT-X-STREAM-INF:BANDWIDTH=200,RESOLUTION=1280x720
mid
#EXT-X-STREAM-INF:BANDWIDTH=300,RESOLUTION=1920x1080
high
"""


class Segments(ProxyTest):
    def lines(self, proxy, **parameters):
        self.up = self.upstream(playlist(MEDIA))
        response = proxy.stream(self.up.url("/d/i.m3u8"), **parameters)
        self.assertEqual(response.status, 200, response)
        return response.text.splitlines()

    def assert_direct(self, proxy, **parameters):
        lines = self.lines(proxy, **parameters)
        key = proxy.origin + stream_path(self.up.url("/d/k"), **parameters)
        self.assertEqual(lines[2], f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"')
        self.assertEqual(lines[4], self.up.url("/d/a%20b.ts"))
        self.assertEqual(lines[6], "https://cdn.example/c.ts")

    def assert_proxied(self, proxy, **parameters):
        lines = self.lines(proxy, **parameters)
        for line in (lines[4], lines[6]):
            self.assertTrue(line.startswith(proxy.origin), line)

    def test_the_link_and_then_the_configuration_decide_about_segments(self):
        self.assert_proxied(self.proxy())
        self.assert_direct(self.proxy(), sg_segments="direct")
        self.assert_direct(self.proxy(hls={"segments": "direct"}))
        self.assert_proxied(self.proxy(hls={"segments": "direct"}), sg_segments="proxy")


class Limits(ProxyTest):
    def variants(self, proxy, **parameters):
        up = self.upstream(playlist(MULTIVARIANT))
        text = proxy.stream(up.url("/m.m3u8"), **parameters).text
        for line in text.splitlines():
            if line.startswith("http"):
                for name, value in parameters.items():
                    self.assertIn(f"&{name}={value}", line)
        return [name for name in ("low", "mid", "high") if f"%2F{name}" in text]

    def test_larger_variants_are_left_out(self):
        self.assertEqual(self.variants(self.proxy()), ["low", "mid", "high"])
        self.assertEqual(self.variants(self.proxy(), sg_max_height="720"), ["low", "mid"])
        self.assertEqual(self.variants(self.proxy(), sg_max_bandwidth="100"), ["low"])
        self.assertEqual(self.variants(self.proxy(), sg_max_bandwidth="1"), ["low"])
        self.assertEqual(self.variants(self.proxy(hls={"max_height": 720})), ["low", "mid"])
        self.assertEqual(self.variants(self.proxy(hls={"max_bandwidth": 250})), ["low", "mid"])

    def test_a_link_may_only_lower_the_limit_of_the_configuration(self):
        proxy = self.proxy(hls={"max_height": 720})
        self.assertEqual(self.variants(proxy, sg_max_height="1080"), ["low", "mid"])
        self.assertEqual(self.variants(proxy, sg_max_height="360"), ["low"])

    def test_a_media_playlist_is_not_filtered(self):
        up = self.upstream(playlist(MEDIA))
        response = self.proxy().stream(up.url("/i.m3u8"), sg_max_height="1")
        self.assertEqual(response.text.count("&sg_max_height=1"), 3)

    def test_values_that_an_option_cannot_have_are_refused(self):
        up = self.upstream(playlist(MULTIVARIANT))
        for name, value in (
            ("sg_max_height", "tall"),
            ("sg_max_height", "-1"),
            ("sg_max_bandwidth", "99999999999"),
            ("sg_segments", "none"),
        ):
            response = self.proxy().stream(up.url("/m.m3u8"), **{name: value})
            self.assert_error(response, 400, "bad_request")


class Reports(ProxyTest):
    """CMCD (CTA-5004) and X-Playback-Session-Id."""

    def setUp(self):
        super().setUp()
        self.up = self.upstream(ok(b"x"))

    def received(self, query="", headers=()):
        target = stream_path(self.up.url("/a/1.ts")) + query
        self.assertEqual(self.proxy().ask(target, headers).status, 200)
        return self.up.requests[-1]

    def next_object(self, url):
        return quote(f"stream?url={quote(url, safe='')}", safe="")

    def test_the_next_object_becomes_a_reference_of_the_upstream(self):
        following = self.next_object(self.up.url("/b/2.ts?t=1"))
        cmcd = f'br=1,nor="{following}",nrr="0-99"'
        expected = 'br=1,nor="..%2Fb%2F2.ts%3Ft%3D1",nrr="0-99"'
        request = self.received("&CMCD=" + quote(cmcd, safe=""))
        self.assertEqual(request.target, "/a/1.ts?CMCD=" + quote(expected, safe=""))
        request = self.received(headers={"CMCD-Request": cmcd})
        self.assertEqual(request["CMCD-Request"], expected)

    def test_a_next_object_of_another_origin_is_left_out(self):
        for following in (self.next_object("https://other.example/2.ts"), "2.ts"):
            cmcd = f'br=1,nor="{following}",nrr="0-99"'
            request = self.received("&CMCD=" + quote(cmcd, safe=""), {"CMCD-Request": cmcd})
            self.assertEqual(request.target, "/a/1.ts?CMCD=br%3D1")
            self.assertEqual(request["CMCD-Request"], "br=1")

    def test_other_fields_are_forwarded_unchanged(self):
        headers = {
            "CMCD-Object": "br=3200",
            "CMCD-Session": 'sid="a,nor=b"',
            "CMCD-Status": "bs",
            "X-Playback-Session-Id": "4F1C",
        }
        request = self.received(headers=headers)
        for name, value in headers.items():
            self.assertEqual(request[name], value)


if __name__ == "__main__":
    main()
