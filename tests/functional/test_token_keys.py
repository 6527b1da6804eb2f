"""The keys of tokens in the configuration, and the warning of an open proxy."""

import json
import tempfile
import unittest

from harness import ProxyTest, main, streamgate
from tokens import OTHER, SECRET


class Configuration(unittest.TestCase):
    def check(self, **security):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("security:\n")
            for name, value in security.items():
                file.write(f"  {name}: {json.dumps(value)}\n")
            file.flush()
            return streamgate("-c", file.name, "--check").stderr, file.name

    def test_wrong_keys_are_problems_with_their_line(self):
        key = {"id": "a", "algorithm": "HS256", "secret": SECRET}
        for wrong, text in (
            ({**key, "secret": "short"}, "32 bytes"),
            ({**key, "id": "a b"}, "letters, digits"),
            ({**key, "algorithm": "none"}, "not one of HS256"),
            ({"id": "a", "algorithm": "HS256"}, "needs secret"),
            ({"id": "a", "algorithm": "ES256"}, "needs public_key_file"),
            ({**key, "colour": "red"}, "not a known key"),
        ):
            problems, name = self.check(auth="token", keys=[wrong])
            self.assertIn(f"{name}:3: security.keys", problems)
            self.assertIn(text, problems)
            self.assertNotIn("short", problems)
        self.assertIn("needs security.keys", self.check(auth="token")[0])
        twice, _ = self.check(auth="token", keys=[key, key])
        self.assertIn("is set twice", twice)
        public = {"id": "b", "algorithm": "ES256", "public_key_file": "/etc/hostname"}
        self.assertIn("need security.grant_secret", self.check(auth="token", keys=[public])[0])
        unusable, _ = self.check(auth="token", keys=[public], grant_secret=SECRET)
        self.assertIn("/etc/hostname has no public key", unusable)

    def test_a_proxy_of_a_key_that_resolves_names_needs_a_list_of_hosts(self):
        key = {"id": "a", "algorithm": "HS256", "secret": SECRET}
        resolving = {**key, "hosts": {"*:80": {"proxy": "socks5h://192.0.2.1:1080"}}}
        problems, name = self.check(auth="token", keys=[resolving])
        self.assertIn(f"{name}:3: security.keys: a: hosts.*:80: the proxy resolves names", problems)
        for allowed in (
            {"keys": [{**resolving, "allow": ["*.cdn.example"]}]},
            {"keys": [resolving], "allow": ["*.cdn.example"]},
        ):
            self.assertEqual(self.check(auth="token", **allowed)[0], "")
        remote = {**key, "hosts": {"h.example": {"resolve": "remote"}}}
        self.assertIn("needs a proxy", self.check(auth="token", keys=[remote])[0])

    def test_secrets_are_not_printed(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            key = {"id": "a", "algorithm": "HS256", "secret": SECRET}
            security = {"auth": "token", "keys": [key], "grant_secret": OTHER}
            file.write(json.dumps({"security": security}))
            file.flush()
            printed = streamgate("-c", file.name, "--print-config").stdout
        self.assertIn("id: a", printed)
        self.assertNotIn(SECRET, printed)
        self.assertNotIn(OTHER, printed)

    def test_a_variable_beside_a_secret_does_not_show_it(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            keys = [
                {"id": "a", "algorithm": "HS256", "secret": SECRET},
                {"id": "b", "algorithm": "HS256", "secret": "${KEY_B}"},
            ]
            file.write(json.dumps({"security": {"keys": keys}}))
            file.flush()
            done = streamgate("-c", file.name, "--print-config", environment={"KEY_B": OTHER})
        self.assertIn("id: b", done.stdout)
        self.assertNotIn(SECRET, done.stdout)
        self.assertNotIn(OTHER, done.stdout)


class OpenProxy(ProxyTest):
    def test_an_open_proxy_on_a_public_address_is_logged_once(self):
        proxy = self.own_proxy({"listen": ["127.0.0.1:0", "0.0.0.0:0"]})
        proxy.reload({"workers": 2})
        proxy.wait_for_event("reload.done")
        (event,) = proxy.events_named("security.open_proxy")
        self.assertEqual((event["level"], event["address"]), ("warn", "0.0.0.0:0"))

    def test_a_private_address_or_a_list_of_targets_is_not_logged(self):
        for settings in (
            {},
            {"listen": "0.0.0.0:0", "security": {"allow": ["*.cdn.example"]}},
        ):
            proxy = self.own_proxy(settings)
            proxy.wait_for_event("master.ready")
            self.assertEqual(proxy.events_named("security.open_proxy"), [])


if __name__ == "__main__":
    main()
