"""`streamgate sign`: links with tokens."""

import base64
import json
import re
import time

from harness import main, streamgate
from token_test_case import TokenTest
from tokens import OTHER, SECRET
from upstream import ok


class Sign(TokenTest):
    """`streamgate sign`."""

    def sign(self, proxy, *arguments):
        done = streamgate("sign", *arguments, "-c", proxy.config_file)
        self.assertEqual(done.stderr, "")
        return done.stdout.strip()

    def claims(self, link):
        payload = re.search(r"sg_token=[^.]+\.([^.]+)\.", link)[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    def test_a_link_for_one_url(self):
        up = self.upstream(ok(b"x"))
        link = self.sign(self.proxy(), up.url("/a b.ts?x=1"), "--for", "2h")
        self.assertEqual(self.ask_link(self.proxy(), link).body, b"x")
        self.assertAlmostEqual(self.claims(link)["exp"], time.time() + 7200, delta=30)
        changed = link.replace("b.ts", "c.ts")
        self.assert_refused(self.ask_link(self.proxy(), changed), 403, "token_scope")

    def test_a_link_for_a_directory_and_a_client(self):
        up = self.upstream(ok(b"x"))
        link = self.sign(self.proxy(), up.url("/live/a.ts"), "--prefix", "--ip", "127.0.0.1")
        claims = self.claims(link)
        self.assertEqual((claims["prefix"], claims["ip"]), (up.url("/live/"), "127.0.0.1"))
        changed = link.replace("a.ts", "b.ts")
        self.assertEqual(self.ask_link(self.proxy(), changed).body, b"x")

    def test_the_link_begins_with_the_public_address_and_has_the_claims_of_its_key(self):
        keys = [
            {"id": "one", "algorithm": "HS256", "secret": OTHER},
            {"id": "two", "algorithm": "HS256", "secret": SECRET, "aud": "gate", "iss": "shop"},
        ]
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy({**self.security(keys=keys), "public_url": "https://tv.example/x"})
        link = self.sign(proxy, up.url("/a"), "--key", "two")
        self.assertTrue(link.startswith("https://tv.example/x/stream?url="))
        self.assertEqual(self.ask_link(proxy, link.replace("/x/stream", "/stream")).body, b"x")

    def test_a_link_of_a_url_with_headers_behind_a_bar(self):
        up = self.upstream(ok(b"x"))
        link = self.sign(self.proxy(), up.url("/a.ts|User-Agent=x"))
        self.assertEqual(self.ask_link(self.proxy(), link).body, b"x")
        self.assertEqual(up.requests[0]["User-Agent"], "x")

    def test_mistakes_are_named(self):
        config = self.proxy().config_file
        for arguments, text in (
            (["ftp://x/"], "is no http(s) URL"),
            (["http://x/", "--for", "2"], "--for 2"),
            (["http://x/", "--ip", "local"], "is not an address"),
            (["http://x/", "--key", "none"], "no key none"),
            ([], "url"),
        ):
            done = streamgate("sign", *arguments, "-c", config)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(text, done.stderr)


if __name__ == "__main__":
    main()
