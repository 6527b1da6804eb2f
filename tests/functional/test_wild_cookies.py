"""Cookies that upstreams set on the way go to the next hops and to the children of a playlist."""

import base64
import re
import time
from urllib.parse import parse_qs, urlsplit

from harness import ProxyTest, link_target, main, stream_path
from upstream import ok, playlist, redirect, status

MASTER = (
    "#EXTM3U\n"
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="n",URI="audio.m3u8"\n'
    "#EXT-X-STREAM-INF:BANDWIDTH=1\nvideo.m3u8\n"
)
MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\ns7.ts\n"
VOD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:4,\ns7.ts\n"


def links(text):
    """The URLs of ours in a rewritten playlist, without their origin."""
    found = re.findall(r'https?://[^"\s]+', text)
    return [link_target(link) for link in found]


def carried(link):
    """The cookies that a link carries, one text each."""
    values = parse_qs(urlsplit(link).query).get("sg_c")
    if not values:
        return []
    raw = values[0]
    return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode().split(" ")


def link_text(*cookies):
    return base64.urlsafe_b64encode(" ".join(cookies).encode()).decode().rstrip("=")


def setting(answer, *cookies):
    """The answer with Set-Cookie fields."""
    head, _, body = answer.data.partition(b"\r\n\r\n")
    for cookie in cookies:
        head += b"\r\nSet-Cookie: " + cookie.encode()
    answer.data = head + b"\r\n\r\n" + body
    return answer


class Hops(ProxyTest):
    def cookies_of(self, script, path="/a", **parameters):
        """The Cookie of each request to an upstream with that script."""
        up = self.upstream(script)
        self.response = self.proxy().stream(up.url(path), **parameters)
        return [request["Cookie"] for request in up.requests]

    def test_a_gate_that_redirects_to_itself_until_its_cookie_comes_back_is_passed(self):
        def gate(request):
            if request["Cookie"] != "sid=abc":
                return setting(redirect("/live.m3u8"), "sid=abc; Path=/; HttpOnly")
            return playlist(MEDIA)

        self.assertEqual(self.cookies_of(gate, "/live.m3u8"), [None, "sid=abc"])
        self.assertEqual(self.response.status, 200)

    def test_the_cookies_of_a_hop_go_to_the_next_hops_that_they_match(self):
        seen = self.cookies_of(
            {
                "/in/a": setting(
                    redirect("/b"),
                    "all=1; Path=/",
                    "default=2",
                    "deep=3; path=/in/deeper",
                    "foreign=5; Path=/; Domain=example.com",
                    "suffix=6; Path=/; Domain=0.0.1",
                    "=; Path=/",
                ),
                "/b": redirect("/in/deeper/c"),
                "/in/deeper/c": setting(redirect("/in/d"), "all=8; Path=/", "deep=; Max-Age=0"),
                "/in/d": ok(b"there"),
            },
            "/in/a",
        )
        self.assertEqual(seen, [None, "all=1", "deep=3; default=2; all=1", "default=2; all=8"])

    def test_a_cookie_may_have_no_name(self):
        for cookie, expected in (
            ("value", "value"),
            ("=7; Path=/", "7"),
            ("  va lue ; Path=/", "va lue"),
            ("", None),
            ("=", None),
            ("=a=b", None),
            ("==b", None),
            ("__Host-a", None),
            ("=__secure-a", None),
        ):
            seen = self.cookies_of({"/a": setting(redirect("/b"), cookie), "/b": ok(b"there")})
            self.assertEqual(seen, [None, expected], cookie)
        nameless = {"/a": setting(redirect("/b"), "new", "x=1"), "/b": ok(b"there")}
        sent = self.cookies_of(nameless, h_Cookie="old; y=2")
        self.assertEqual(sent, ["old; y=2", "y=2; new; x=1"])

    def test_a_secure_cookie_that_http_has_set_is_sent(self):
        script = {"/a": setting(redirect("/b"), "a=1; Secure", "b; Secure"), "/b": ok(b"there")}
        self.assertEqual(self.cookies_of(script), [None, "a=1; b"])

    def test_a_prefixed_cookie_requires_its_attributes(self):
        for cookie, expected in (
            ("__Host-a=1; Secure; Path=/", "__Host-a=1"),
            ("__Host-a=1; Path=/", None),
            ("__host-a=1; Secure; Path=/x", None),
            ("__Host-a=1; Secure", None),
            ("__Host-a=1; Secure; Path=/; Domain=127.0.0.1", None),
            ("__Secure-a=1; Secure", "__Secure-a=1"),
            ("__Secure-a=1", None),
        ):
            seen = self.cookies_of({"/a": setting(redirect("/b"), cookie), "/b": ok(b"there")})
            self.assertEqual(seen, [None, expected], cookie)

    def test_odd_attributes_are_ignored(self):
        for cookie, expected in (
            ("a=1; Domain=x.example; Domain=", "a=1"),
            ("a=1; Domain=127.0.0.1; Domain=x.example", None),
            ("a=1; Path=/other; Path=", "a=1"),
            ("a=1; Path=/" + "y" * 1100, "a=1"),
            ("a=1; foo; =bar; ;;", "a=1"),
            ("a=1; Max-Age=+5; Expires=never", "a=1"),
            ("a=" + "x" * 4095, "a=" + "x" * 4095),
            ("a=" + "x" * 4096, None),
        ):
            seen = self.cookies_of({"/a": setting(redirect("/b"), cookie), "/b": ok(b"there")})
            self.assertEqual(seen, [None, expected], cookie[:60])

    def test_a_cookie_that_has_expired_is_removed(self):
        seen = self.cookies_of(
            {
                "/a": setting(redirect("/b"), "a=1", "b=2", "c=3; Max-Age=3600", "d=4"),
                "/b": setting(
                    redirect("/c"),
                    "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                    "b=2; Max-Age=-1",
                    "d=4; Expires=Wednesday, 09-Nov-99 23:12:40 GMT",
                ),
                "/c": ok(b"there"),
            }
        )
        self.assertEqual(seen, [None, "a=1; b=2; c=3; d=4", "c=3"])

    def test_ports_share_cookies_and_hosts_do_not(self):
        for host, expected in (("127.0.0.1", "a=1"), ("127.0.0.2", None)):
            other = self.upstream(ok(b"there"), host=host)
            self.cookies_of(setting(redirect(other.url("/b")), "a=1; Path=/"))
            self.assertEqual(other.requests[0]["Cookie"], expected, host)

    def test_the_second_try_after_a_403_has_its_cookie(self):
        answers = [setting(status(403), "a=1"), ok(b"there")]
        self.assertEqual(self.cookies_of(answers), [None, "a=1"])

    def test_the_get_instead_of_a_head_has_its_cookie(self):
        up = self.upstream({"/a": [setting(status(405), "a=1"), ok(b"there")]})
        self.assertEqual(self.proxy().ask(stream_path(up.url("/a")), method="HEAD").status, 200)
        self.assertEqual([request["Cookie"] for request in up.requests], [None, "a=1"])

    def test_a_cookie_of_an_upstream_replaces_the_clients_of_the_same_name(self):
        script = {"/a": setting(redirect("/b"), "sid=new; Path=/"), "/b": ok(b"there")}
        seen = self.cookies_of(script, h_Cookie="sid=old; lang=de")
        self.assertEqual(seen, ["sid=old; lang=de", "lang=de; sid=new"])

    def test_cookies_are_bounded_in_number_and_size(self):
        many = [f"c{i}={'x' * 20}; Path=/" for i in range(100)]
        large = ["large=" + "x" * 5000, "half=" + "y" * 2500, "more=" + "z" * 2500]
        for cookies, first, last in ((many, "c68", "c99"), (large, "more", "more")):
            seen = self.cookies_of({"/a": setting(redirect("/b"), *cookies), "/b": ok(b"there")})
            names = [pair.partition("=")[0] for pair in seen[1].split("; ")]
            self.assertEqual((names[0], names[-1]), (first, last))

    def test_nothing_is_kept_for_the_next_request(self):
        script = {"/a": setting(redirect("/b"), "a=1; Path=/"), "/b": ok(b"there")}
        for _ in range(2):
            self.assertEqual(self.cookies_of(script), [None, "a=1"])

    def test_no_cookie_is_in_a_log(self):
        proxy = self.proxy(log={"level": "debug"})
        up = self.upstream(
            {"/a": setting(redirect("/b"), "sid=geheim; Path=/"), "/b": playlist(MASTER)}
        )
        child = links(proxy.stream(up.url("/a")).text)[0]
        proxy.ask(child)
        self.assertEqual(up.requests[-1]["Cookie"], "sid=geheim")
        proxy.wait_for_access(2)
        self.assertNotIn("geheim", proxy.log())
        self.assertNotIn(link_text("sid=geheim")[:10], proxy.log())


class Children(ProxyTest):
    def test_the_cookies_of_a_multivariant_playlist_and_its_redirects_go_to_all_children(self):
        proxy = self.proxy()
        up = self.upstream(
            {
                "/a": setting(redirect("/hls/m.m3u8"), "gate=1; Path=/"),
                "/hls/m.m3u8": setting(playlist(MASTER), "list=2"),
                "/hls/audio.m3u8": playlist(MEDIA),
                "/hls/video.m3u8": playlist(MEDIA),
                "/hls/s7.ts": ok(b"segment"),
            }
        )
        children = links(proxy.stream(up.url("/a")).text)
        for child in children:
            self.assertEqual(
                carried(child), ["gate=1;d=127.0.0.1;p=/", "list=2;d=127.0.0.1;p=/hls"]
            )
            segment = links(proxy.ask(child).text)[0]
            self.assertEqual(up.requests[-1]["Cookie"], "list=2; gate=1")
            self.assertEqual(proxy.ask(segment).body, b"segment")
            self.assertEqual(up.requests[-1]["Cookie"], "list=2; gate=1")
        self.assertEqual(len(children), 2)

    def test_only_documents_that_are_fetched_once_give_new_cookies_to_children(self):
        for name, text, expected in (
            ("multivariant", MASTER, 2),
            ("vod", VOD, 1),
            ("list", "#EXTM3U\n#EXTINF:-1,One\na.ts\n#EXTVLCOPT:x=y\nb.m3u8\n", 2),
            ("live", MEDIA, 0),
            ("event", VOD.replace("VOD", "EVENT"), 0),
            ("list, then a tag", "#EXTM3U\na.ts\n#EXT-X-SOMETHING:1\nb.ts\n", 1),
        ):
            up = self.upstream(setting(playlist(text), "a=1"))
            found = [carried(link) for link in links(self.proxy().stream(up.url("/p/l")).text)]
            with_cookie = [cookies for cookies in found if cookies]
            self.assertEqual(len(with_cookie), expected, name)
            self.assertTrue(all(c == ["a=1;d=127.0.0.1;p=/p"] for c in with_cookie), name)

    def test_a_live_playlist_has_the_same_links_at_each_reload(self):
        count = iter(range(9))
        up = self.upstream(lambda _: setting(playlist(MEDIA), f"lb={next(count)}; Max-Age=9"))
        text = link_text("sid=1;d=127.0.0.1;p=/")
        first = self.proxy().stream(up.url("/live.m3u8"), sg_c=text).text
        self.assertEqual(first, self.proxy().stream(up.url("/live.m3u8"), sg_c=text).text)
        self.assertIn(f"&sg_c={text}", first)

    def test_a_static_playlist_has_the_same_links_for_the_same_cookies(self):
        up = self.upstream(setting(playlist(MASTER), "b=2; Path=/", "a=1; Path=/"))
        texts = {self.proxy().stream(up.url("/m.m3u8"), sg_c=c).text for c in (
            link_text("b=0;d=127.0.0.1;p=/"), link_text("b=2;d=127.0.0.1;p=/"))}
        self.assertEqual(len(texts), 1)

    def test_a_cookie_without_a_name_goes_to_the_children(self):
        up = self.upstream({"/m.m3u8": setting(playlist(MASTER), "v; Path=/"), "/audio.m3u8": ok()})
        child = links(self.proxy().stream(up.url("/m.m3u8")).text)[0]
        self.assertEqual(carried(child), ["=v;d=127.0.0.1;p=/"])
        self.proxy().ask(child)
        self.assertEqual(up.requests[-1]["Cookie"], "v")

    def test_the_cookies_of_a_link_are_matched_at_each_request(self):
        later, earlier = int(time.time()) + 3600, int(time.time()) - 1
        up = self.upstream(ok(b"x"))
        for cookie, expected in (
            ("a=1;d=127.0.0.1;p=/", "a=1"),
            (f"a=1;d=127.0.0.1;p=/v;x={later}", "a=1"),
            ("a=b%20c;d=127.0.0.1", "a=b c"),
            ("a=1;d=.127.0.0.1;p=/", "a=1"),
            (f"a=1;d=127.0.0.1;p=/;x={earlier}", None),
            ("a=1;d=127.0.0.1;p=/other", None),
            ("a=1;d=127.0.0.1;p=/;s", None),
            ("a=1;d=.0.0.1;p=/", None),
            ("a=1;p=/", None),
            ("a=1%0d%0aX:y;d=127.0.0.1;p=/", None),
            ("a=1\r\nX:y;d=127.0.0.1;p=/", None),
            ("\x00\xff", None),
        ):
            self.assertEqual(
                self.proxy().stream(up.url("/v/a.ts"), sg_c=link_text(cookie)).status, 200
            )
            self.assertEqual(up.requests[-1]["Cookie"], expected, cookie)
            self.assertIsNone(up.requests[-1]["X"], cookie)

    def test_sg_c_that_is_no_base64url_or_repeated_or_too_long_is_rejected(self):
        up = self.upstream(ok(b"x"))
        for value in ("a b", "%0d%0a", "YQ==", "a" * 8193, "YQ&sg_c=YQ"):
            target = f"/stream?url={up.url('/')}&sg_c={value}".replace(" ", "%20")
            self.assert_error(self.proxy().ask(target), 400, "bad_request")
        self.assertEqual(up.requests, [])

    def test_the_clients_own_cookie_and_authorization_stay_at_their_origin(self):
        other = self.upstream(ok(b"x"))
        up = self.upstream(playlist(MASTER.replace("audio.m3u8", other.url("/audio.m3u8"))))
        secrets = {"h_Cookie": "mine=1", "h_Authorization": "Bearer t"}
        elsewhere, here = links(self.proxy().stream(up.url("/m.m3u8"), **secrets).text)
        for secret in secrets:
            self.assertIn(secret, here)
            self.assertNotIn(secret, elsewhere)


if __name__ == "__main__":
    main()
