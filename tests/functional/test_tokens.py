"""Tokens for URLs, and grants for the links of their playlists (security.auth: token)."""

import base64
import json
import os
import re
import subprocess
import tempfile
import time
import unittest
from urllib.parse import quote, unquote, urlsplit

from harness import BINARY, ProxyTest, link_target, main, stream_path, streamgate, wait_until
from programs import NEXT, put
from tokens import OTHER, SECRET, b64, hs256, signed, soon, with_tokens
from upstream import ok, playlist, redirect


def openssl(*arguments, text=b""):
    return subprocess.run(
        ["openssl", *arguments], input=text, capture_output=True, check=True
    ).stdout


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


class TokenTest(ProxyTest):
    settings = with_tokens()

    def security(self, **more):
        return {"security": {**self.settings["security"], **more}}

    def assert_refused(self, response, status, reason):
        self.assertEqual((response.status, response["X-Streamgate-Error"]), (status, reason))
        self.assertEqual(json.loads(response.text)["error"], reason)
        self.assertEqual(response["Access-Control-Allow-Origin"], "*")

    def play(self, proxy, up, path="/live/index.m3u8", **parameters):
        response = proxy.stream(up.url(path), **parameters)
        self.assertEqual(response.status, 200, response.text)
        return [line for line in response.text.splitlines() if line and line[0] != "#"]

    def ask_link(self, proxy, link, **options):
        return proxy.ask(link_target(link), **options)


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

    def test_tokens_of_public_keys(self):
        up = self.upstream({"/live/index.m3u8": playlist("#EXTM3U\ns.ts\n"), "/live/s.ts": ok(b"G")})
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
        subprocess.run(["/usr/bin/python3", "-c", "import jwt, cryptography"], capture_output=True).returncode == 0,
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
        attacks = {
            "no algorithm": f'{b64({"alg": "none"})}.{payload}.',
            "no signature": f"{header}.{payload}.",
            "algorithm of another key type": signed({"alg": "ES256"}, claims),
            "unknown algorithm": signed({"alg": "HS384"}, claims),
            "lower-case algorithm": signed({"alg": "hs256"}, claims),
            "critical extension": signed({**good, "crit": ["b64"], "b64": False}, claims),
            "unknown key": signed({**good, "kid": "other"}, claims),
            "key in the token": signed({**good, "jwk": {"kty": "oct", "k": b64(b"x" * 32)}}, claims, "x" * 32),
            "another secret": signed(good, claims, OTHER),
            "changed payload": f'{header}.{b64({"exp": soon(9000)})}.{mac}',
            "padded": f"{header}.{payload}.{mac}=",
            "other spelling of the last byte": f"{header}.{payload}.{mac[:-1]}{chr(ord(mac[-1]) + 1)}",
            "standard base64": f"{header}.{payload}.{mac[:-1]}+",
            "four parts": f"{header}.{payload}.{mac}.{mac}",
            "two parts": f"{header}.{payload}",
            "duplicate claims": signed(b64(good), b64(b'{"exp":1,"exp":%d}' % soon()), raw=True),
            "duplicate header": signed(b64(b'{"alg":"none","alg":"HS256"}'), payload, raw=True),
            "expiry as text": signed(good, {"exp": str(soon())}),
            "expiry as an object": signed(good, {"exp": {"a": soon()}}),
            "endless expiry": signed(b64(good), b64(b'{"exp":1e999}'), raw=True),
            "array": signed(b64(good), b64(b"[1]"), raw=True),
            "deep": signed(b64(good), b64(b'{"exp":%d,"a":%s}' % (soon(), b"[" * 70 + b"]" * 70)), raw=True),
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
        self.assertEqual(self.proxy().stream(up.url("/a"), sg_token=hs256(exp=soon(-20))).status, 200)

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
        for path in ("/live/user", "/live/user/a.ts", "/live/user?x", "/live/user/..%2Fuser.ts".replace("..%2F", "x%2F")):
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


class Upgrade(TokenTest):
    def test_an_upgrade_keeps_the_keys(self):
        up = self.upstream(ok(b"x"))
        with tempfile.TemporaryDirectory(prefix="streamgate-run-") as folder:
            os.chmod(folder, 0o755)
            program = os.path.join(folder, "streamgate")
            put(BINARY, program)
            settings = {**self.settings, "pid_file": os.path.join(folder, "pid")}
            proxy = self.own_proxy(settings, binary=program)
            put(NEXT, program)
            done = streamgate("-c", proxy.config_file, "-s", "reload")
            self.assertEqual(done.stdout, "reload 1: ok\n", done)
            self.assertEqual(proxy.stream(up.url("/a"), sg_token=hs256()).status, 200)


class Grants(TokenTest):
    LIST = "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"/keys/1\"\n#EXTINF:2,\n{}\n#EXTINF:2,\nsub/b.ts\n"

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
        spare = self.ask_link(self.proxy(), link + "&sg_alt=" + quote(up.url("/other/c.ts"), safe=""))
        self.assert_refused(spare, 403, "token_scope")

    def test_each_part_of_a_grant_is_signed(self):
        up = self.upstream_with()
        link = self.play(self.proxy(), up, sg_token=hs256(ip="127.0.0.0/8"))[0]
        grant = re.search(r"sg_grant=([^&\s]+)", link)[1]
        version, kid, expires, depth, claims, mac = grant.split(".")
        self.assertEqual((version, kid, depth), ("1", "site", "1"))
        changed = [
            ("2", kid, expires, depth, claims, mac),
            (version, "other", expires, depth, claims, mac),
            (version, kid, str(int(expires) + 1), depth, claims, mac),
            (version, kid, "0", depth, claims, mac),
            (version, kid, expires, "0", claims, mac),
            (version, kid, expires, "01", claims, mac),
            (version, kid, expires, depth, "-", mac),
            (version, kid, expires, depth, claims, mac[:-2] + "AA"),
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
