"""Grants for the links of the playlists of tokens."""

import base64
import json
import re
from urllib.parse import quote, unquote, urlsplit

from harness import link_target, main, stream_path, wait_until
from token_test_case import TokenTest
from tokens import hs256, soon
from upstream import Answer, ok, playlist, redirect, status


class Grants(TokenTest):
    LIST = (
        '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="/keys/1"\n'
        "#EXTINF:2,\n{}\n#EXTINF:2,\nsub/b.ts\n"
    )

    def upstream_with(self, first="a.ts"):
        return self.upstream(
            {
                "/live/index.m3u8": playlist(self.LIST.format(first)),
                "/live/a.ts": ok(b"A"),
                "/live/sub/b.ts": ok(b"B"),
                "/keys/1": ok(b"K"),
                "/live/secret.ts": ok(b"S"),
                "/other/c.ts": ok(b"C"),
                "/live/c.m3u8": redirect("/moved/deep/c.m3u8"),
                "/moved/deep/c.m3u8": playlist("#EXTM3U\nd.ts\n../e.ts\n"),
                "/moved/deep/d.ts": ok(b"D"),
                "/moved/e.ts": ok(b"E"),
            }
        )

    def test_links_carry_grants_and_no_token(self):
        up = self.upstream_with()
        token = hs256()
        response = self.proxy().stream(up.url("/live/index.m3u8"), sg_token=token)
        self.assertNotIn(token, response.text)
        links = re.findall(r'https?://[^\s"]+', response.text)
        bodies = [self.ask_link(self.proxy(), link).body for link in links]
        self.assertEqual(bodies, [b"K", b"A", b"B"])
        self.assertNotIn("sg_grant", "".join(up.targets()))
        again = self.proxy().stream(up.url("/live/index.m3u8"), sg_token=token)
        self.assertEqual(again.text, response.text)
        for link in links:
            self.assertNotIn(re.search(r"sg_grant=([^&]+)", link)[1], self.proxy().log())

    def test_a_child_below_the_scope_of_its_parent_keeps_the_grant(self):
        up = self.upstream(
            {
                "/live/m.m3u8": playlist("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/v.m3u8\n"),
                "/live/low/v.m3u8": playlist("#EXTM3U\ns.ts\nx/y.ts\n../up.ts\n"),
            }
        )
        (variant,) = self.play(self.proxy(), up, "/live/m.m3u8", sg_token=hs256())
        grant = re.search(r"sg_grant=([^&]+)", variant)[1]
        text = self.ask_link(self.proxy(), variant).text
        grants = re.findall(r"sg_grant=([^&\s]+)", text)
        self.assertEqual(grants[:2], [grant, grant])
        self.assertNotEqual(grants[2], grant)

    def test_the_link_of_a_child_does_not_depend_on_its_neighbours(self):
        up = self.upstream(
            {
                "/live/one.m3u8": playlist("#EXTM3U\na/x.ts\na/y.ts\na/z.ts\na/b/c.ts\n"),
                "/live/two.m3u8": playlist("#EXTM3U\na/b/c.ts\n"),
            }
        )
        token = hs256()
        *_, last = self.play(self.proxy(), up, "/live/one.m3u8", sg_token=token)
        self.assertEqual([last], self.play(self.proxy(), up, "/live/two.m3u8", sg_token=token))

    def test_a_grant_is_bound_to_its_directory_host_and_scheme(self):
        up = self.upstream_with()
        links = self.play(self.proxy(), up, sg_token=hs256())
        link = links[0]
        encoded = quote(up.url("/live/a.ts"), safe="")
        self.assertIn(encoded, link)

        def with_url(url):
            return self.ask_link(self.proxy(), link.replace(encoded, quote(url, safe="")))

        self.assertEqual(with_url(up.url("/live/secret.ts")).body, b"S")  # the same directory
        elsewhere = up.url("/live/a.ts").replace("127.0.0.1", "127.0.0.2")
        for url in (
            up.url("/other/c.ts"),
            up.url("/live/../other/c.ts"),
            up.url("/live/%2e%2e/other/c.ts"),
            up.url("/live/..%2Fother/c.ts"),
            up.url("/a.ts"),
            elsewhere,
            up.url("/live/a.ts").replace("http:", "https:"),
        ):
            with self.subTest(url):
                response = with_url(url)
                self.assertEqual(response.status, 403)
                self.assertIn(response["X-Streamgate-Error"], ("token_invalid", "token_scope"))
        other = quote(up.url("/other/c.ts"), safe="")
        spare = self.ask_link(self.proxy(), f"{link}&sg_alt={other}")
        self.assert_refused(spare, 403, "token_scope")

    def test_each_part_of_a_grant_is_signed(self):
        up = self.upstream_with()
        link = self.play(self.proxy(), up, sg_token=hs256(ip="127.0.0.0/8"))[0]
        grant = re.search(r"sg_grant=([^&\s]+)", link)[1]
        version, kid, expires, depth, claims, mac = grant.split(".")
        self.assertEqual((version, kid, depth), ("1", "site", "1"))
        other_end = "AA" if mac[-2:] != "AA" else "BA"
        changed = [
            ("2", kid, expires, depth, claims, mac),
            (version, "other", expires, depth, claims, mac),
            (version, kid, str(int(expires) + 1), depth, claims, mac),
            (version, kid, "0", depth, claims, mac),
            (version, kid, expires, "0", claims, mac),
            (version, kid, expires, "01", claims, mac),
            (version, kid, expires, depth, "-", mac),
            (version, kid, expires, depth, claims, mac[:-2] + other_end),
            (version, kid, expires, depth, claims, ""),
            (version, kid, expires, depth, claims, mac + "A"),
        ]
        for parts in changed:
            with self.subTest(parts):
                response = self.ask_link(self.proxy(), link.replace(grant, ".".join(parts)))
                self.assert_refused(response, 403, "token_invalid")
        self.assertEqual(self.ask_link(self.proxy(), link).body, b"A")

    def test_a_grant_ends_with_its_token(self):
        up = self.upstream_with()
        token = hs256(exp=soon(-25))  # accepted for five more seconds, because clocks differ
        link = self.play(self.proxy(), up, sg_token=token)[0]
        payload = token.split(".")[1]
        expiry = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        self.assertEqual(re.search(r"sg_grant=1\.site\.(\d+)\.", link)[1], str(expiry))
        expired = wait_until(
            lambda: [r for r in [self.ask_link(self.proxy(), link)] if r.status != 200],
            what="the end of the grant",
        )
        self.assert_refused(expired[0], 403, "token_expired")

    def test_a_grant_keeps_the_client(self):
        up = self.upstream_with()
        settings = {
            **self.settings,
            "client_address": "x-forwarded-for",
            "trusted_proxies": ["127.0.0.0/8"],
        }
        proxy = self.own_proxy(settings)
        token = hs256(ip="203.0.113.7")
        mine = {"X-Forwarded-For": "203.0.113.7"}
        response = proxy.ask(stream_path(up.url("/live/index.m3u8"), sg_token=token), headers=mine)
        link = [x for x in response.text.splitlines() if x.startswith("http")][0]
        self.assertEqual(self.ask_link(proxy, link, headers=mine).body, b"A")
        foreign = self.ask_link(proxy, link, headers={"X-Forwarded-For": "203.0.113.8"})
        self.assert_refused(foreign, 403, "token_client")

    def test_a_link_with_a_grant_fails_over_and_reconnects(self):
        packets = (b"\x47" + bytes(187)) * 4
        live = Answer(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + packets, "close")
        answers = {
            "/live/index.m3u8": playlist("#EXTM3U\na.ts\n"),
            "/live/a.ts": status(404),
            "/live/b.ts": live,
        }
        up = self.upstream(lambda request: answers[request.path])
        (link,) = self.play(self.proxy(), up, sg_token=hs256())
        spare = quote(up.url("/live/b.ts"), safe="")
        with self.proxy().connect() as client:
            client.request(link_target(f"{link}&sg_live=1&sg_alt={spare}"))
            self.assertEqual(client.read_head().status, 200)
            wait_until(lambda: up.targets().count("/live/b.ts") == 2, what="the next body")
        self.assertEqual(up.targets()[1:], ["/live/a.ts", "/live/b.ts", "/live/b.ts"])
        for request in up.requests:
            self.assertNotIn(b"sg_grant", request.raw)

    def test_children_of_redirected_playlists(self):
        up = self.upstream_with()
        links = self.play(self.proxy(), up, "/live/c.m3u8", sg_token=hs256())
        self.assertEqual([self.ask_link(self.proxy(), link).body for link in links], [b"D", b"E"])

    def test_the_links_of_a_revoked_token_are_refused(self):
        up = self.upstream_with()
        proxy = self.own_proxy(self.settings)
        link = self.play(proxy, up, sg_token=hs256(jti="ticket-7"))[0]
        proxy.reload(self.security(revoked=["ticket-7"]))
        proxy.wait_for_event("worker.left")
        self.assert_refused(self.ask_link(proxy, link), 403, "token_invalid")

    def test_the_links_of_a_revoked_key_are_refused(self):
        up = self.upstream_with()
        proxy = self.own_proxy(self.settings)
        link = self.play(proxy, up, sg_token=hs256())[0]
        proxy.reload(self.security(revoked=["site"]))
        proxy.wait_for_event("worker.left")
        self.assert_refused(self.ask_link(proxy, link), 403, "token_invalid")

    def test_20000_segments_in_directories_of_their_own_and_in_one(self):
        lines = "".join(f"#EXTINF:2,\nseg-{i:05}.ts\n" for i in range(3000))
        lines += "".join(f"#EXTINF:2,\n{i % 7}/d{i:04}/seg.ts\n" for i in range(300))
        lines += "".join(f"#EXTINF:2,\n/x/y{i % 2}/seg-{i:04}.ts?a=/b/{i}\n" for i in range(300))
        answers = {"/live/index.m3u8": playlist("#EXTM3U\n" + lines)}
        up = self.upstream(lambda request: answers.get(request.path, ok(request.path.encode())))
        links = self.play(self.proxy(), up, sg_token=hs256())
        self.assertEqual(len(links), 3600)
        with self.proxy().connect() as client:
            for link in links[::151] + links[-3:]:
                client.request(link_target(link))
                target = unquote(re.search(r"url=([^&]+)", link)[1])
                self.assertEqual(client.read_response().body.decode(), urlsplit(target).path)


if __name__ == "__main__":
    main()
