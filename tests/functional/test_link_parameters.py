"""Parameters that links with tokens may not have (security.parameters)."""

import re

from harness import ProxyTest, link_target, main, path_link
from tokens import hs256, with_tokens
from upstream import ok, playlist


class Parameters(ProxyTest):
    LIST = "#EXTM3U\n#EXTINF:2,\n#EXTVLCOPT:http-user-agent=Box/1\na.ts\n#EXTINF:2,\nb.ts\n"

    def proxy_with(self, **parameters):
        return self.own_proxy(with_tokens(parameters=parameters))

    def upstream_with_list(self):
        return self.upstream(
            {
                "/live/list.m3u8": playlist(self.LIST),
                "/live/a.ts": ok(b"A"),
                "/live/b.ts": ok(b"B"),
            }
        )

    def assert_forbidden(self, response, reason="parameter_forbidden"):
        self.assert_error(response, 403, reason)

    def ask_link(self, proxy, link):
        return proxy.ask(link_target(link))

    def test_entries_may_not_have_a_forbidden_parameter(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(sg_live=False, sg_alt=False, headers=False)
        token = hs256()
        ask = lambda **more: proxy.stream(up.url("/live/b.ts"), sg_token=token, **more)
        self.assertEqual(ask().status, 200)
        self.assertEqual(ask(sg_live="0").status, 200)
        self.assert_forbidden(ask(sg_live="1"))
        self.assert_forbidden(ask(sg_alt=up.url("/live/a.ts")))
        self.assert_forbidden(ask(h_Cookie="a=b"))
        self.assert_forbidden(ask(referer="http://a.example/"))
        suffixed = proxy.stream(up.url("/live/b.ts|User-Agent=x"), sg_token=token)
        self.assert_forbidden(suffixed)
        # Userinfo is a part of the URL itself.
        with_user = up.url("/live/b.ts").replace("//", "//user:password@")
        self.assertEqual(proxy.stream(with_user, sg_token=token).status, 200)

    def test_each_parameter_has_a_rule_of_its_own(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(sg_live=False)
        token = hs256()
        ask = lambda **more: proxy.stream(up.url("/live/b.ts"), sg_token=token, **more)
        self.assertEqual(ask(sg_alt=up.url("/live/a.ts"), h_X="1").status, 200)
        self.assert_forbidden(ask(sg_live="1"))

    def test_links_keep_the_headers_of_their_playlist_and_get_no_others(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(headers=False, sg_live=False, sg_alt=False)
        listed = proxy.stream(up.url("/live/list.m3u8"), sg_token=hs256())
        own, plain = (line for line in listed.text.splitlines() if line and line[0] != "#")
        self.assertIn("h_User-Agent=", own)
        self.assertEqual(self.ask_link(proxy, own).body, b"A")
        self.assertEqual(up.requests[-1]["User-Agent"], "Box/1")
        self.assertEqual(self.ask_link(proxy, plain).body, b"B")
        for forged in (
            own.replace("Box", "Fox"),
            own + "&h_Cookie=x",
            re.sub("&h_User-Agent=[^&]*", "", own),
            plain + "&h_Cookie=x",
            plain + "&referer=http%3A%2F%2Fa.example%2F",
            plain.replace("http%3A%2F%2F", "http%3A%2F%2Fuser%3Apassword%40"),
        ):
            self.assert_forbidden(self.ask_link(proxy, forged), "token_invalid")
        self.assert_forbidden(self.ask_link(proxy, plain + "&sg_live=1"))
        self.assert_forbidden(self.ask_link(proxy, plain + "&sg_alt=" + "http%3A%2F%2Fa.example"))

    def test_links_inherit_what_userinfo_gave_their_playlist(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(headers=False)
        with_user = up.url("/live/list.m3u8").replace("//", "//user:password@")
        listed = proxy.stream(with_user, sg_token=hs256())
        for link, body in zip(
            (line for line in listed.text.splitlines() if line and line[0] != "#"), (b"A", b"B")
        ):
            self.assertEqual(self.ask_link(proxy, link).body, body)
            self.assertTrue(up.requests[-1]["Authorization"].startswith("Basic "))

    def test_userinfo_is_no_header_in_any_form_of_a_link(self):
        up = self.upstream(ok(b"x"))
        proxy = self.proxy_with(headers=False)
        url = up.url("/live/a.ts").replace("http://", "http://user:word@")
        entry = proxy.ask(path_link(f"{url}?sg_token={hs256()}"))
        self.assertEqual(entry.status, 302, entry.text)
        for answer in (
            self.ask_link(proxy, entry["Location"]),
            proxy.stream(url, sg_token=hs256()),
            proxy.ask(path_link(url), [("Authorization", f"Bearer {hs256()}")]),
        ):
            self.assertEqual(answer.status, 200, answer.text)
        sent = {request["Authorization"] for request in up.requests}
        self.assertEqual(sent, {"Basic dXNlcjp3b3Jk"})

    def test_links_with_variables_and_kinds_are_valid(self):
        up = self.upstream(
            {
                "/live/top.m3u8": playlist(
                    '#EXTM3U\n#EXT-X-DEFINE:NAME="v",VALUE="1"\n'
                    '#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json"\n'
                    "#EXT-X-STREAM-INF:BANDWIDTH=1\nlist.m3u8\n"
                ),
                "/live/steering.json": ok(b'{"VERSION":1}'),
                "/live/list.m3u8": playlist(self.LIST),
            }
        )
        proxy = self.proxy_with(headers=False)
        top = proxy.stream(up.url("/live/top.m3u8"), sg_token=hs256(), sg_max_height="720").text
        links = re.findall(r"http://[^\s\"]+", top)
        self.assertEqual(["sg_k=" in link for link in links], [True, False])
        self.assertEqual(["sg_v=" in link for link in links], [False, True])
        for link in links:
            self.assertEqual(self.ask_link(proxy, link).status, 200, link)

    def test_a_known_grant_with_headers_behind_it_is_invalid(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(headers=False)
        listed = proxy.stream(up.url("/live/list.m3u8"), sg_token=hs256())
        own = next(line for line in listed.text.splitlines() if line and line[0] != "#")
        self.assertEqual(self.ask_link(proxy, own).status, 200)
        headers = re.search("&h_User-Agent=[^&]*", own)[0]
        grant = re.search("&sg_grant=[^&]*", own)[0]
        behind = headers.replace("%", "%25").replace("&", "%26").replace("=", "%3D")
        forged = own.replace(headers, "").replace(grant, grant + behind)
        self.assert_forbidden(self.ask_link(proxy, forged), "token_invalid")

    def test_the_options_and_variables_of_a_link_are_no_headers(self):
        multivariant = (
            '#EXTM3U\n#EXT-X-DEFINE:NAME="a",VALUE="1"\n'
            "#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n"
        )
        up = self.upstream({"/live/m.m3u8": playlist(multivariant), "/live/v": ok(b"V")})
        proxy = self.proxy_with(headers=False)
        for options in ({}, {"sg_max_height": "720"}):
            listed = proxy.stream(up.url("/live/m.m3u8"), sg_token=hs256(), **options)
            link = listed.text.splitlines()[-1]
            self.assertIn("sg_v=", link)
            self.assertEqual(self.ask_link(proxy, link).body, b"V")
            self.assertEqual(self.ask_link(proxy, link + "&sg_max_bandwidth=1").body, b"V")

    def test_without_tokens_headers_cannot_be_forbidden(self):
        proxy = self.own_proxy()
        proxy.reload({"security": {"parameters": {"headers": False}}})
        failed = proxy.wait_for_event("config.problem")
        self.assertIn("needs security.auth: token", failed["problem"])


if __name__ == "__main__":
    main()
