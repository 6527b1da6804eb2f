"""Tokens made by the npm package jose."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from players import HERE, INSTALLED, install_players, main
from harness import ProxyTest, stream_path
from upstream import ok

SECRET = "0123456789abcdef0123456789abcdef"
CLAIMS = {"aud": "proxy", "iss": "shop"}


@unittest.skipUnless(shutil.which("npm"), "npm is not installed")
class Jose(ProxyTest):
    def tokens(self):
        install_players()
        done = subprocess.run(
            ["node", os.path.join(HERE, "jose_tokens.mjs"), INSTALLED, SECRET],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def keys(self, tokens):
        folder = tempfile.TemporaryDirectory(prefix="streamgate-jose-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        keys = [{"id": "HS256", "algorithm": "HS256", "secret": SECRET, **CLAIMS}]
        for algorithm in ("ES256", "EdDSA"):
            path = os.path.join(folder.name, algorithm)
            with open(path, "w", encoding="ascii") as file:
                file.write(tokens[algorithm]["public"])
            key = {"id": algorithm, "algorithm": algorithm, "public_key_file": path}
            keys.append({**key, **CLAIMS})
        return keys

    def test_each_algorithm_is_verified(self):
        tokens = self.tokens()
        proxy = self.own_proxy(
            {
                "security": {
                    "allow_private": ["127.0.0.1/32"],
                    "auth": "token",
                    "keys": self.keys(tokens),
                    "grant_secret": "another secret of at least 32 bytes!",
                }
            }
        )
        target = self.upstream(ok(b"x")).url("/a.ts")
        for algorithm, made in tokens.items():
            with self.subTest(algorithm=algorithm):
                answer = proxy.stream(target, sg_token=made["good"])
                self.assertEqual((answer.status, answer.body), (200, b"x"))
                bearer = [("Authorization", "Bearer " + made["good"])]
                self.assertEqual(proxy.ask(stream_path(target), bearer).status, 200)
                self.assert_error(
                    proxy.stream(target, sg_token=made["expired"]), 403, "token_expired"
                )
                self.assert_error(
                    proxy.stream(target, sg_token=made["elsewhere"]), 403, "token_scope"
                )
                head, _, mac = made["good"].rpartition(".")
                forged = f"{head}.{'B' if mac[0] == 'A' else 'A'}{mac[1:]}"
                self.assert_error(proxy.stream(target, sg_token=forged), 403, "token_invalid")


if __name__ == "__main__":
    main()
