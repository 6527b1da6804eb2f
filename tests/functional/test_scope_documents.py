"""What tokens and grants sign in the links of a document, and what they leave out."""

import re
from urllib.parse import quote, unquote

from harness import link_target, main, path_link
from token_test_case import TokenTest
from tokens import b64, hs256
from upstream import ok, playlist


class Documents(TokenTest):
    """What a client changes in a link must not make the proxy sign links to other places."""

    MULTIVARIANT = (
        '#EXTM3U\n#EXT-X-DEFINE:NAME="cdn",VALUE="{}"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n"
    )
    MEDIA = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DEFINE:IMPORT="cdn"\n#EXTINF:4,\n{$cdn}/s.ts\n'

    def setUp(self):
        self.up = self.upstream(None)
        self.up.script = {
            "/live/m.m3u8": playlist(self.MULTIVARIANT.format(self.up.url("/cdn"))),
            "/live/v.m3u8": playlist(self.MEDIA),
            "/live/data": ok(b'{"ASSETS":[{"URI":"/other/a.ts"}]}', content_type="application/json"),
            "/live/steering": ok(b'{"VERSION":1,"RELOAD-URI":"/other/a.ts"}'),
            "/live/i.m3u8": playlist("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n"),
            "/cdn/s.ts": ok(b"S"),
        }.get
        table = self.up.script
        self.up.script = lambda request: table(request.path, ok(b"?"))

    @staticmethod
    def variables(url):
        return b64(f'cdn="{url}",'.encode())

    def forged(self):
        return self.variables(self.up.url("/other").replace("127.0.0.1", "127.0.0.2"))

    def links_of(self, answer):
        return re.findall(r"http://[^\s\"]+sg_grant=[^\s\"]+", answer.text)

    def test_the_variables_of_a_link_are_signed(self):
        for proxy in (self.proxy(), self.own_proxy(self.security(parameters={"headers": False}))):
            (variant,) = self.play(proxy, self.up, "/live/m.m3u8", sg_token=hs256())
            own = re.search(r"&sg_v=([^&]+)", variant)[0]
            (segment,) = self.links_of(self.ask_link(proxy, variant))
            self.assertEqual(self.ask_link(proxy, segment).body, b"S")
            for forged in (
                variant.replace(own, f"&sg_v={self.forged()}"),
                variant.replace(own, ""),
                variant.replace(own, "&sg_v="),
                variant.replace("v.m3u8", "i.m3u8"),  # right for the directory, with its variables
            ):
                answer = self.ask_link(proxy, forged)
                if "i.m3u8" in forged:
                    self.assertEqual(answer.status, 200)
                else:
                    self.assert_refused(answer, 403, "token_invalid")
            # A link without variables gets none.
            (plain,) = self.play(proxy, self.up, "/live/i.m3u8", sg_token=hs256())
            target = plain.replace("a.ts", "v.m3u8") + f"&sg_v={self.forged()}"
            self.assert_refused(self.ask_link(proxy, target), 403, "token_invalid")

    def test_a_query_parameter_leads_no_link_out_of_the_directory(self):
        media = (
            '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DEFINE:QUERYPARAM="x"\n'
            '#EXT-X-DEFINE:NAME="y",VALUE="{$x}/b"\n#EXTINF:4,\n{$x}.ts\n#EXTINF:4,\n{$y}.ts\n'
            "#EXTINF:4,\na.ts?t={$x}\n#EXTINF:4,\nhttp://{$x}/c.ts\n"
        )
        main = (
            '#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM="x"\n#EXT-X-DEFINE:NAME="cdn",VALUE="{$x}"\n'
            "#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n"
        )
        table = self.up.script
        own = {"/live/q.m3u8": playlist(media), "/live/m.m3u8": playlist(main)}
        self.up.script = lambda request: own.get(request.path.partition("?")[0]) or table(request)
        proxy, token = self.proxy(), hs256(prefix=self.up.url("/live/"))

        def urls_of(name, value):
            target = self.up.url(f"/live/{name}?x={quote(value, safe='')}")
            text = proxy.stream(target, sg_token=token).text
            return [unquote(url) for url in re.findall(r"[?&]url=([^&\s]+)", text)]

        inside = urls_of("q.m3u8", "a-b")
        self.assertEqual(
            [self.up.url(f"/live/{p}") for p in ("a-b.ts", "a-b/b.ts", "a.ts?t=a-b")], inside[:3]
        )
        other = self.up.url("/other/a")
        for value in (
            other, other.partition(":")[2], "/other/a", "../other/a", "\\other\\a", "a|Referer=b",
            other.replace("http:", "http:\\\\"), "x/../../other/a", "127.0.0.2", "data:text/plain,a",
        ):
            urls = urls_of("q.m3u8", value)
            self.assertEqual(len(urls), 4, value)
            for url in urls:
                path = url.partition("?")[0]
                is_ours = path.startswith(self.up.url("/live/")) and "|" not in path
                self.assertTrue(is_ours or path == "http://x/c.ts", (value, url))
            if "|" not in value:
                self.assertIn(value, unquote(urls[2]))
            # The variables of a multivariant playlist are the client's in its media playlists too.
            (variant,) = self.play(
                proxy, self.up, f"/live/m.m3u8?x={quote(value, safe='')}", sg_token=token
            )
            for link in self.links_of(self.ask_link(proxy, variant)):
                self.assertNotIn("/other/", unquote(link).partition("?t=")[0])

    def test_a_token_brings_no_variables_and_no_kind(self):
        proxy = self.proxy()
        url = self.up.url("/live/v.m3u8")
        token = hs256(prefix=self.up.url("/live/"))
        bearer = [("Authorization", f"Bearer {token}")]
        carry = b64(f"sg_v={self.forged()}".encode())
        for answer in (
            proxy.stream(url, sg_token=token, sg_v=self.forged()),
            proxy.stream(url, bearer, sg_v=self.forged()),
            proxy.ask(path_link(url, carry), bearer),
        ):
            self.assertEqual(answer.status, 200)
            self.assertNotIn("127.0.0.2", answer.text)
        moved = proxy.ask(path_link(f"{url}?sg_token={token}", carry))
        self.assertEqual(moved.status, 302)
        self.assertNotIn("127.0.0.2", self.ask_link(proxy, moved["Location"]).text)
        for path, kind in (("data", "assets"), ("steering", "steering")):
            answer = proxy.stream(self.up.url(f"/live/{path}"), sg_token=token, sg_k=kind)
            self.assertEqual(answer.status, 200)
            self.assertNotIn("sg_grant", answer.text)

    def test_the_kind_of_a_link_is_signed(self):
        proxy = self.proxy()
        (plain,) = self.play(proxy, self.up, "/live/i.m3u8", sg_token=hs256())
        for path, kind in (("data", "assets"), ("steering", "steering")):
            forged = plain.replace("a.ts", path) + f"&sg_k={kind}"
            self.assert_refused(self.ask_link(proxy, forged), 403, "token_invalid")
        self.assertEqual(self.ask_link(proxy, plain + "&sg_k=unknown").status, 200)

    def test_the_kind_of_steering_and_asset_lists_is_kept(self):
        text = (
            '#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI="steering"\n'
            "#EXT-X-STREAM-INF:BANDWIDTH=1\ni.m3u8\n"
        )
        proxy = self.proxy()
        table = self.up.script
        self.up.script = lambda r: playlist(text) if r.path == "/live/top.m3u8" else table(r)
        top = proxy.stream(self.up.url("/live/top.m3u8"), sg_token=hs256())
        steering = next(link for link in self.links_of(top) if "sg_k=" in link)
        again = self.ask_link(proxy, steering)
        (reload_uri,) = self.links_of(again)
        self.assertEqual(self.ask_link(proxy, reload_uri).status, 200)
        self.assert_refused(
            self.ask_link(proxy, steering.replace("=steering", "=assets")), 403, "token_invalid"
        )

    def test_an_expired_link_with_a_new_token_keeps_its_variables(self):
        proxy = self.proxy()
        (variant,) = self.play(proxy, self.up, "/live/m.m3u8", sg_token=hs256(ip="127.0.0.1"))
        # The grant is that of another client; its MAC shows that the variables are ours.
        bearer = [("Authorization", f"Bearer {hs256()}")]
        trusting = self.own_proxy(
            {**self.settings, "client_address": "x-forwarded-for", "trusted_proxies": ["127.0.0.1"]}
        )
        elsewhere = [("X-Forwarded-For", "203.0.113.7")]
        target = link_target(variant)
        self.assert_refused(trusting.ask(target, elsewhere), 403, "token_client")
        answer = trusting.ask(target, [*elsewhere, *bearer])
        self.assertEqual(answer.status, 200)
        self.assertIn(quote(self.up.url("/cdn/s.ts"), safe=""), answer.text)

    def test_cookies_are_headers_that_may_be_forbidden(self):
        cookie = b64(b"session=stolen")
        proxy = self.own_proxy(self.security(parameters={"headers": False}))
        url = self.up.url("/live/i.m3u8")
        entry = proxy.stream(url, sg_token=hs256(), sg_c=cookie)
        self.assert_refused(entry, 403, "parameter_forbidden")
        (link,) = self.play(proxy, self.up, "/live/i.m3u8", sg_token=hs256())
        self.assert_refused(self.ask_link(proxy, f"{link}&sg_c={cookie}"), 403, "token_invalid")
        self.assertTrue(all(request["Cookie"] is None for request in self.up.requests))

    def test_the_cookies_of_a_list_reach_its_links_where_headers_are_forbidden(self):
        table = self.up.script
        listed = playlist(f"#EXTM3U\n{self.up.url('/live/a.ts')}\n", {"Set-Cookie": "s=1; Path=/"})
        self.up.script = lambda r: listed if r.path == "/live/list" else table(r)
        proxy = self.own_proxy(self.security(parameters={"headers": False}))
        (link,) = self.play(proxy, self.up, "/live/list", sg_token=hs256())
        self.assertIn("&sg_c=", link)
        self.assertEqual(self.ask_link(proxy, link).status, 200)
        self.assertEqual(self.up.requests[-1]["Cookie"], "s=1")
        stripped = re.sub("&sg_c=[^&]*", "", link)
        self.assert_refused(self.ask_link(proxy, stripped), 403, "token_invalid")


if __name__ == "__main__":
    main()
