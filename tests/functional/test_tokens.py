"""Tokens for URLs (security.auth: token)."""

import os
import subprocess
import tempfile
import unittest

from harness import main, stream_path
from programs import NEXT, put
from token_test_case import TokenTest
from tokens import OTHER, SECRET, b64, hs256, signed, soon
from upgrading import Upgrading
from upstream import ok, playlist, redirect


def openssl(*arguments, text=b""):
    return subprocess.run(
        ["openssl", *arguments], input=text, capture_output=True, check=True
    ).stdout


def can_import(modules):
    done = subprocess.run(["/usr/bin/python3", "-c", f"import {modules}"], capture_output=True)
    return done.returncode == 0


def raw_ecdsa(der):
    """r and s, 32 bytes each, of a signature in DER."""
    r_size = der[3]
    numbers = der[4 : 4 + r_size], der[6 + r_size :]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in numbers)


class PrivateKey:
    """A key of ES256 or EdDSA, in files of a folder."""

    def __init__(self, folder, algorithm):
        self.algorithm = algorithm
        self.file = f"{folder}/{algorithm}.key"
        self.public_file = f"{folder}/{algorithm}.pub"
        kind = (
            ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] if algorithm == "ES256" else ["ED25519"]
        )
        openssl("genpkey", "-algorithm", *kind, "-out", self.file)
        openssl("pkey", "-in", self.file, "-pubout", "-out", self.public_file)

    def token(self, **claims):
        text = f'{b64({"alg": self.algorithm})}.{b64({"exp": soon(), **claims})}'
        with tempfile.NamedTemporaryFile() as file:  # Ed25519 reads its text twice
            file.write(text.encode())
            file.flush()
            if self.algorithm == "ES256":
                signature = raw_ecdsa(openssl("dgst", "-sha256", "-sign", self.file, file.name))
            else:
                signature = openssl(
                    *("pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", file.name)
                )
        return f"{text}.{b64(signature)}"

class Entries(TokenTest):
    def test_a_request_without_a_token_is_401(self):
        up = self.upstream(ok(b"x"))
        response = self.proxy().stream(up.url("/a"))
        self.assert_refused(response, 401, "token_missing")
        self.assertEqual(response["WWW-Authenticate"], "Bearer")
        self.assertEqual(up.connections, 0)
        self.assertEqual(self.proxy().ask("/health").status, 200)
        self.assertEqual(self.proxy().ask("/stream", method="OPTIONS").status, 204)

    def test_a_token_in_the_query_or_as_bearer_is_enough_and_never_goes_upstream(self):
        up = self.upstream(ok(b"x"))
        token = hs256()
        self.assertEqual(self.proxy().stream(up.url("/a?k=v"), sg_token=token).status, 200)
        bearer = self.proxy().ask(
            stream_path(up.url("/a")), headers={"Authorization": f"Bearer {token}"}
        )
        self.assertEqual(bearer.status, 200)
        self.assertEqual(up.targets(), ["/a?k=v", "/a"])
        for request in up.requests:
            self.assertNotIn(token, request.raw.decode())
            self.assertIsNone(request["Authorization"])
        self.assertNotIn(token, self.proxy().log())

    def test_a_shared_cache_may_not_store_the_answer_to_a_bearer(self):
        fields = {"Cache-Control": "public, max-age=60"}
        up = self.upstream(
            {"/i.m3u8": playlist("#EXTM3U\na.ts\n", fields), "/a.ts": ok(b"x", fields)}
        )
        ask = self.proxy().ask
        for path in ("/i.m3u8", "/a.ts"):
            bearer = [("Authorization", f"Bearer {hs256()}")]
            answers = (
                (ask(stream_path(up.url(path)), bearer), ["public, max-age=60", "private"]),
                (ask(stream_path(up.url(path), sg_token=hs256())), ["public, max-age=60"]),
            )
            for answer, expected in answers:
                self.assertEqual(answer.all("Cache-Control"), expected)

    def test_tokens_of_public_keys(self):
        up = self.upstream(
            {"/live/index.m3u8": playlist("#EXTM3U\ns.ts\n"), "/live/s.ts": ok(b"G")}
        )
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            made = [PrivateKey(folder, algorithm) for algorithm in ("ES256", "EdDSA")]
            keys = [
                {"id": k.algorithm, "algorithm": k.algorithm, "public_key_file": k.public_file}
                for k in made
            ]
            proxy = self.own_proxy(self.security(keys=keys, grant_secret=OTHER))
            for key in made:
                token = key.token()
                (link,) = self.play(proxy, up, sg_token=token)
                self.assertEqual(self.ask_link(proxy, link).body, b"G")
                forged = token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB")
                self.assert_refused(
                    proxy.stream(up.url("/a"), sg_token=forged), 403, "token_invalid"
                )
                # The public key, used as the secret of an HMAC (RFC 8725 2.1).
                with open(key.public_file, encoding="ascii") as file:
                    pem = file.read()
                confused = signed({"alg": "HS256", "kid": key.algorithm}, {"exp": soon()}, pem)
                self.assert_refused(
                    proxy.stream(up.url("/a"), sg_token=confused), 403, "token_invalid"
                )

    @unittest.skipUnless(
        can_import("jwt, cryptography"),
        "needs PyJWT",
    )
    def test_tokens_made_by_pyjwt_are_accepted(self):
        up = self.upstream(ok(b"x"))
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            made = [PrivateKey(folder, algorithm) for algorithm in ("ES256", "EdDSA")]
            keys = [
                {"id": k.algorithm, "algorithm": k.algorithm, "public_key_file": k.public_file}
                for k in made
            ] + self.settings["security"]["keys"]
            proxy = self.own_proxy(self.security(keys=keys, grant_secret=OTHER))
            sources = [(k.algorithm, f"open({k.file!r}).read()") for k in made]
            for algorithm, secret in [*sources, ("HS256", repr(SECRET))]:
                done = subprocess.run(
                    [
                        "/usr/bin/python3",
                        "-c",
                        f"import jwt; print(jwt.encode({{'exp': {soon()}, 'jti': 'x'}}, {secret}, "
                        f"algorithm={algorithm!r}))",
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                answer = proxy.stream(up.url("/a"), sg_token=done.stdout.strip())
                self.assertEqual(answer.status, 200, answer.text)

    def test_attacks_on_tokens(self):
        up = self.upstream(ok(b"x"))
        good = {"alg": "HS256"}
        claims = {"exp": soon()}
        header, payload, mac = signed(good, claims).split(".")
        next_letter = chr(ord(mac[-1]) + 1)
        own_key = {"kty": "oct", "k": b64(b"x" * 32)}
        deep = b'{"exp":%d,"a":%s}' % (soon(), b"[" * 70 + b"]" * 70)
        attacks = {
            "no algorithm": f'{b64({"alg": "none"})}.{payload}.',
            "no signature": f"{header}.{payload}.",
            "algorithm of another key type": signed({"alg": "ES256"}, claims),
            "unknown algorithm": signed({"alg": "HS384"}, claims),
            "lower-case algorithm": signed({"alg": "hs256"}, claims),
            "critical extension": signed({**good, "crit": ["b64"], "b64": False}, claims),
            "unknown key": signed({**good, "kid": "other"}, claims),
            "key in the token": signed({**good, "jwk": own_key}, claims, "x" * 32),
            "another secret": signed(good, claims, OTHER),
            "changed payload": f'{header}.{b64({"exp": soon(9000)})}.{mac}',
            "padded": f"{header}.{payload}.{mac}=",
            "other spelling of the last byte": f"{header}.{payload}.{mac[:-1]}{next_letter}",
            "standard base64": f"{header}.{payload}.{mac[:-1]}+",
            "four parts": f"{header}.{payload}.{mac}.{mac}",
            "two parts": f"{header}.{payload}",
            "duplicate claims": signed(b64(good), b64(b'{"exp":1,"exp":%d}' % soon()), raw=True),
            "duplicate header": signed(b64(b'{"alg":"none","alg":"HS256"}'), payload, raw=True),
            "expiry as text": signed(good, {"exp": str(soon())}),
            "expiry as an object": signed(good, {"exp": {"a": soon()}}),
            "endless expiry": signed(b64(good), b64(b'{"exp":1e999}'), raw=True),
            "array": signed(b64(good), b64(b"[1]"), raw=True),
            "deep": signed(b64(good), b64(deep), raw=True),
            "not yet valid": signed(good, {**claims, "nbf": soon(120)}),
            "no expiry": signed(good, {}),
            "client as a number": signed(good, {**claims, "ip": 1}),
            "garbage": "x" * 100,
            "long id": signed(good, {**claims, "jti": "x" * 257}),
            "too long": signed(good, {**claims, "x": "y" * 9000}),
        }
        for name, token in attacks.items():
            with self.subTest(name):
                response = self.proxy().stream(up.url("/a"), sg_token=token)
                self.assert_refused(response, 403, "token_invalid")
        self.assert_refused(
            self.proxy().stream(up.url("/a"), sg_token=hs256(exp=soon(-60))), 403, "token_expired"
        )
        self.assertEqual(up.connections, 0)
        # A clock that is a little late.
        late = hs256(exp=soon(-20))
        self.assertEqual(self.proxy().stream(up.url("/a"), sg_token=late).status, 200)

    def test_two_tokens_are_refused(self):
        up = self.upstream(ok(b"x"))
        path = stream_path(up.url("/a"), sg_token=hs256()) + "&sg_token=x"
        self.assertEqual(self.proxy().ask(path).status, 400)

    def test_the_claim_url_allows_one_url(self):
        up = self.upstream(ok(b"x"))
        token = hs256(url=up.url("/a/b.m3u8?x=1"))
        ask = self.proxy().stream
        self.assertEqual(ask(up.url("/a/b.m3u8?x=1"), sg_token=token).status, 200)
        # A player requests the next state of the playlist.
        self.assertEqual(
            ask(up.url("/a/b.m3u8?x=1"), sg_token=token, _HLS_msn="3", _HLS_part="1").status, 200
        )
        for path in ("/a/b.m3u8?x=2", "/a/b.m3u8", "/a/b.m3u8?x=1&y=1", "/a/c.m3u8?x=1"):
            self.assert_refused(ask(up.url(path), sg_token=token), 403, "token_scope")
        added = ask(up.url("/a/b.m3u8?x=1"), sg_token=token, more="1")
        self.assert_refused(added, 403, "token_scope")
        spare = ask(up.url("/a/b.m3u8?x=1"), sg_token=token, sg_alt=up.url("/other"))
        self.assert_refused(spare, 403, "token_scope")

    def test_the_claim_prefix_allows_urls_below_it(self):
        up = self.upstream(ok(b"x"))
        token = hs256(prefix=up.url("/live/user"))
        ask = self.proxy().stream
        for path in ("/live/user", "/live/user/a.ts", "/live/user?x", "/live/user/x%2Fuser.ts"):
            self.assertEqual(ask(up.url(path), sg_token=token).status, 200, path)
        for path in (
            "/live/user2",
            "/live/",
            "/live/user/../other/a.ts",
            "/live/user/%2e%2e/other/a.ts",
            "/live/user/%2E./other/a.ts",
            "/live/user/..%2Fother/a.ts",
            "/live/user/..%5cother/a.ts",
            "/live/user/..;x=1/other/a.ts",
            "/live/user/%252e%252e/other/a.ts",
            "/live/user/..%252Fother/a.ts",
            "/live/user/..%3F/other/a.ts",
            "/live/user/..%23/other/a.ts",
            "/live/user/..%00/other/a.ts",
            "/live/user/x/..%c0%af/../..",
        ):
            with self.subTest(path):
                self.assert_refused(ask(up.url(path), sg_token=token), 403, "token_scope")
        other = up.url("/live/user/a.ts").replace("127.0.0.1", "127.0.0.2")
        self.assert_refused(ask(other, sg_token=token), 403, "token_scope")
        secure = up.url("/live/user/a.ts").replace("http:", "https:")
        self.assert_refused(ask(secure, sg_token=token), 403, "token_scope")

    def test_the_claim_ip_binds_to_the_client(self):
        up = self.upstream(ok(b"x"))
        ask = self.proxy().stream
        for block in ("127.0.0.1", "127.0.0.0/8"):
            self.assertEqual(ask(up.url("/a"), sg_token=hs256(ip=block)).status, 200)
        self.assert_refused(ask(up.url("/a"), sg_token=hs256(ip="10.0.0.0/8")), 403, "token_client")
        self.assert_refused(ask(up.url("/a"), sg_token=hs256(ip="local")), 403, "token_invalid")

    def test_audience_issuer_and_hosts_of_a_key(self):
        up = self.upstream({"/a": ok(b"x"), "/r": redirect("http://127.0.0.2:1/x")})
        keys = [
            {
                "id": "site",
                "algorithm": "HS256",
                "secret": SECRET,
                "aud": "gate",
                "iss": "shop",
                "allow": ["127.0.0.1"],
            }
        ]
        proxy = self.own_proxy(self.security(keys=keys))
        right = {"aud": ["x", "gate"], "iss": "shop"}
        self.assertEqual(proxy.stream(up.url("/a"), sg_token=hs256(**right)).status, 200)
        for wrong in ({"aud": "x", "iss": "shop"}, {"aud": "gate"}, {"aud": "gate", "iss": "x"}):
            response = proxy.stream(up.url("/a"), sg_token=hs256(**wrong))
            self.assert_refused(response, 403, "token_invalid")
        elsewhere = up.url("/a").replace("127.0.0.1", "127.0.0.2")
        for url in (elsewhere, up.url("/r")):
            response = proxy.stream(url, sg_token=hs256(**right))
            self.assert_refused(response, 403, "token_scope")

    def test_a_reload_rotates_keys_and_revokes(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy(self.settings)
        token = hs256(jti="ticket-7")
        self.assertEqual(proxy.stream(up.url("/a"), sg_token=token).status, 200)
        proxy.reload(self.security(revoked=["ticket-7"]))
        proxy.wait_for_event("worker.left")
        self.assert_refused(proxy.stream(up.url("/a"), sg_token=token), 403, "token_invalid")
        self.assertEqual(proxy.stream(up.url("/a"), sg_token=hs256()).status, 200)
        new = [{"id": "site", "algorithm": "HS256", "secret": OTHER}]
        proxy.reload(self.security(keys=new))
        proxy.wait_for_event("worker.left", generation="2")
        self.assert_refused(proxy.stream(up.url("/a"), sg_token=hs256()), 403, "token_invalid")


class Upgrade(TokenTest, Upgrading):
    def test_an_upgrade_keeps_the_keys(self):
        up = self.upstream(ok(b"x"))
        proxy = self.start(**self.settings)
        put(NEXT, self.program)
        self.reload(proxy, 1)
        self.assertEqual(proxy.stream(up.url("/a"), sg_token=hs256()).status, 200)


if __name__ == "__main__":
    main()
