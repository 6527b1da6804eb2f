"""Redirects are followed up to a limit; the guard checks each hop; the last URL is the base."""

from urllib.parse import quote

from harness import ProxyTest, closed_port, main
from upstream import ok, playlist, redirect, status


class Following(ProxyTest):
    def test_every_redirect_status_is_followed(self):
        for code in (301, 302, 303, 307, 308):
            up = self.upstream({"/a": redirect("/b?x=1", code), "/b": ok(b"there")})
            self.assertEqual(self.proxy().stream(up.url("/a")).body, b"there", code)
            self.assertEqual(up.targets(), ["/a", "/b?x=1"])

    def test_locations_are_resolved_against_the_url_that_sent_them(self):
        for location in (
            "b",
            "./b",
            "../d/b",
            "/d/b",
            "//{host}/d/b",
            "http://{host}/d/b",
            "HTTP://{host}/d/b#frag",
        ):
            up = self.upstream(None)
            up.script = {
                "/d/a": redirect(location.replace("{host}", f"{up.host}:{up.port}")),
                "/d/b": ok(b"there"),
            }
            self.assertEqual(self.proxy().stream(up.url("/d/a?q=/x/")).body, b"there", location)

    def test_a_redirected_head_request_stays_head(self):
        up = self.upstream({"/a": redirect("/b", 303), "/b": ok(b"")})
        self.assertEqual(self.proxy().stream(up.url("/a"), method="HEAD").status, 200)
        self.assertEqual([request.method for request in up.requests], ["HEAD", "HEAD"])

    def test_the_final_url_is_the_base_of_a_playlist(self):
        cdn = self.upstream(playlist("#EXTM3U\n#EXTINF:1,\nseg.ts\n"))
        up = self.upstream(redirect(cdn.url("/live/9/index.m3u8?t=1")))
        proxy = self.proxy()
        text = proxy.stream(up.url("/channel.m3u8")).text
        self.assertIn(
            f"{proxy.origin}/stream?url={quote(cdn.url('/live/9/seg.ts'), safe='')}", text
        )

    def test_a_redirect_without_location_is_relayed_unchanged(self):
        for fields in ({}, {"Location": ""}):
            up = self.upstream(status(302, fields, b"where?"))
            response = self.proxy().stream(up.url("/a"))
            self.assertEqual((response.status, response.body), (302, b"where?"))

    def test_300_and_304_are_not_followed(self):
        up = self.upstream({"/a": status(300, {"Location": "/b"}, b"choose"), "/b": ok(b"no")})
        self.assertEqual(self.proxy().stream(up.url("/a")).status, 300)
        self.assertEqual(up.targets(), ["/a"])

    def test_ten_hops_are_followed_and_an_eleventh_is_too_many(self):
        up = self.upstream(
            lambda r: redirect(f"/{int(r.path[1:]) - 1}") if r.path != "/0" else ok(b"end")
        )
        self.assertEqual(self.proxy().stream(up.url("/10")).body, b"end")
        up.requests.clear()
        self.assert_error(self.proxy().stream(up.url("/11")), 502, "too_many_redirects")
        self.assertEqual(len(up.requests), 11)

    def test_a_loop_ends_with_too_many_redirects(self):
        up = self.upstream(redirect("/again"))
        proxy = self.proxy()
        self.assert_error(proxy.stream(up.url("/again")), 502, "too_many_redirects")
        self.assertEqual(proxy.wait_for_access()["reason"], "too_many_redirects")


class CrossOrigin(ProxyTest):
    secrets = {"h_Authorization": "Bearer t", "h_Cookie": "s=1", "h_X-Kept": "k"}

    def test_authorization_and_cookie_do_not_follow_to_another_origin(self):
        other = self.upstream(ok(b"there"))
        up = self.upstream(redirect(other.url("/b")))
        self.proxy().stream(up.url("/a"), **self.secrets)
        self.assertEqual(
            (up.requests[0]["Authorization"], up.requests[0]["Cookie"]), ("Bearer t", "s=1")
        )
        request = other.requests[0]
        self.assertEqual(
            [request[n] for n in ("Authorization", "Cookie", "X-Kept")], [None, None, "k"]
        )

    def test_authorization_and_cookie_follow_on_the_same_origin(self):
        up = self.upstream({"/a": redirect("/b"), "/b": ok(b"x")})
        self.proxy().stream(up.url("/a"), **self.secrets)
        self.assertEqual(
            (up.requests[1]["Authorization"], up.requests[1]["Cookie"]), ("Bearer t", "s=1")
        )

    def test_authorization_and_cookie_do_not_return_on_a_later_hop(self):
        up = self.upstream(None)
        other = self.upstream(redirect(up.url("/c")))
        up.script = {"/a": redirect(other.url("/b")), "/c": ok(b"x")}
        self.proxy().stream(up.url("/a"), **self.secrets)
        self.assertEqual((up.requests[1]["Authorization"], up.requests[1]["Cookie"]), (None, None))

    def test_referer_and_origin_follow_the_target_of_each_hop(self):
        other = self.upstream(ok(b"there"))
        up = self.upstream(redirect(other.url("/b")))
        self.proxy().stream(up.url("/a"))
        self.assertEqual(
            (other.requests[0]["Referer"], other.requests[0]["Origin"]),
            (other.origin + "/", other.origin),
        )


class Refused(ProxyTest):
    def test_a_redirect_to_a_private_address_is_forbidden(self):
        up = self.upstream(None)
        victim = self.upstream(ok(b"secret"), host="127.0.0.9")
        proxy = self.proxy(security={"allow_private": [f"127.0.0.1:{up.port}"]})
        for location in (
            victim.url("/"),
            f"http://127.0.0.1:{closed_port()}/",
            "http://169.254.169.254/latest",
            "http://10.0.0.1/",
            f"http://[::ffff:127.0.0.9]:{victim.port}/",
        ):
            up.script = redirect(location)
            self.assert_error(proxy.stream(up.url("/a")), 403, "target_forbidden")
        self.assertEqual(victim.connections, 0)

    def test_a_redirect_to_an_unusable_url_is_a_bad_response(self):
        up = self.upstream(None)
        for location in (
            "file:///etc/passwd",
            "ftp://x/",
            "gopher://x/",
            "javascript:1",
            "http://127.1/",
            "http:///",
            "http://0x7f000001/",
        ):
            up.script = redirect(location)
            with self.subTest(location):
                up.requests.clear()
                self.assert_error(self.proxy().stream(up.url("/a")), 502, "bad_response")
                self.assertEqual(up.targets(), ["/a"])


if __name__ == "__main__":
    main()
