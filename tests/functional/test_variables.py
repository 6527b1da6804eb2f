"""Playlists with variables (EXT-X-DEFINE): nothing that they name leads past the proxy."""

import re
from urllib.parse import parse_qs, quote, urlsplit

from harness import ProxyTest, main
from tokens import b64, hs256, with_tokens
from upstream import ok, playlist, redirect

MULTIVARIANT = b"""#EXTM3U
#EXT-X-DEFINE:NAME="cdn",VALUE="%s"
#EXT-X-DEFINE:QUERYPARAM="token"
#EXT-X-STREAM-INF:BANDWIDTH=1
{$cdn}/v.m3u8?t={$token}
"""
MEDIA = b"""#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-DEFINE:IMPORT="cdn"
#EXT-X-DEFINE:IMPORT="token"
#EXTINF:4,
{$cdn}/s.ts?t={$token}
"""


def links(response):
    """The targets of the links to the proxy."""
    found = re.findall(rb"https?://[^\s\"]*/stream\?[^\s\"]*", response.body)
    return [link.decode().partition("/stream")[2] for link in found]


class Variables(ProxyTest):
    def follow(self, proxy, response):
        (link,) = links(response)
        return proxy.ask("/stream" + link)

    def test_variables_reach_the_media_playlist_and_its_segments(self):
        other = self.upstream({"/v.m3u8": playlist(MEDIA), "/s.ts": ok(b"x")})
        up = self.upstream(playlist(MULTIVARIANT % other.origin.encode()))
        proxy = self.proxy()
        multivariant = proxy.stream(up.url("/m.m3u8?token=a%252Bb"))
        self.assertIn(b'#EXT-X-DEFINE:NAME="token",VALUE="a%2Bb"\n', multivariant.body)
        media = self.follow(proxy, multivariant)
        self.assertIn(b'#EXT-X-DEFINE:IMPORT="cdn"\n', media.body)
        self.assertEqual(self.follow(proxy, media).status, 200)
        self.assertEqual(other.targets(), ["/v.m3u8?t=a%2Bb", "/s.ts?t=a%2Bb"])

    def test_a_variable_of_the_query_is_read_from_the_url_after_redirects(self):
        text = b'#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM="token"\n#EXT-X-TARGETDURATION:4\n'
        up = self.upstream({"/a": redirect("/b?token=2"), "/b": playlist(text)})
        response = self.proxy().stream(up.url("/a?token=1"))
        self.assertIn(b'#EXT-X-DEFINE:NAME="token",VALUE="2"\n', response.body)

    def test_a_parameter_of_the_client_is_a_variable_of_the_query_too(self):
        up = self.upstream(playlist(b'#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM="x"\n{$x}.ts\n'))
        proxy = self.proxy()
        response = proxy.ask("/stream?x=y%20z&url=" + quote(up.url("/m.m3u8"), safe=""))
        self.assertIn(b'#EXT-X-DEFINE:NAME="x",VALUE="y z"\n', response.body)
        (url,) = parse_qs(urlsplit(links(response)[0]).query)["url"]
        self.assertEqual(url, up.url("/y%20z.ts"))

    def test_a_name_of_a_variable_never_becomes_the_name_of_a_parameter(self):
        text = b'#EXTM3U\n#EXT-X-DEFINE:NAME="IV",VALUE="1"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n'
        response = self.proxy().stream(self.upstream(playlist(text)).url("/m.m3u8"))
        self.assertEqual(sorted(parse_qs(urlsplit(links(response)[0]).query)), ["sg_v", "url"])

    def test_variables_that_this_proxy_has_not_made_are_refused(self):
        up = self.upstream(playlist(b"#EXTM3U\n"))
        for value in ("a+b", "a" * 9000):
            response = self.proxy().stream(up.url("/m.m3u8"), sg_v=value)
            self.assert_error(response, 400, "bad_request")


class Tokens(ProxyTest):
    settings = with_tokens()

    def test_only_variables_of_this_proxy_name_the_host_of_segments(self):
        other = self.upstream({"/v.m3u8": playlist(MEDIA), "/s.ts": ok(b"x")})
        up = self.upstream(playlist(MULTIVARIANT % other.origin.encode()))
        proxy = self.proxy()
        (variant,) = links(proxy.stream(up.url("/m.m3u8?token=1"), sg_token=hs256()))
        (segment,) = links(proxy.ask("/stream" + variant))
        self.assertEqual(proxy.ask("/stream" + segment).body, b"x")
        forged = b64(b'cdn="http://secret.example",token="1",')
        query = re.sub("sg_v=[^&]*", "sg_v=" + forged, variant)
        self.assert_error(proxy.ask("/stream" + query), 403, "token_invalid")
        media = proxy.stream(other.url("/v.m3u8"), sg_token=hs256(), sg_v=forged)
        self.assertEqual(media.status, 200)
        self.assertNotIn("secret.example", media.text)


if __name__ == "__main__":
    main()
