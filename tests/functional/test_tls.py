"""https upstreams: certificates are verified by authority and name; SNI is sent."""

import itertools
import os
import ssl
import tempfile

from certificates import P256, WithAuthority
from harness import ProxyTest, main, stream_path, streamgate
from upstream import Answer, ok, playlist, redirect


class Tls(WithAuthority, ProxyTest):
    def trusting(self, **tls):
        return self.proxy(
            upstream={"tls": {"ca_file": self.authority.certificate, **tls}},
            security={"allow_private": ["loopback"]},
        )

    def serve(self, script, *names, **options):
        return self.upstream(
            script,
            tls=self.authority.issue(*(names or ("localhost", "IP:127.0.0.1", "IP:::1"))),
            **options,
        )

    def test_a_certificate_of_the_configured_authority_is_trusted(self):
        up = self.serve(ok(b"secret"))
        self.assertEqual(self.trusting().stream(up.url()).body, b"secret")

    def test_the_name_is_sent_as_sni_and_an_address_is_not(self):
        up = self.serve(ok(b"x"))
        self.assertEqual(self.trusting().stream(up.url(host="localhost")).status, 200)
        self.assertEqual(up.tls.names_asked_for, ["localhost"])
        self.assertEqual(self.trusting().stream(up.url()).status, 200)
        self.assertEqual(up.tls.names_asked_for, ["localhost", None])

    def test_a_certificate_for_another_name_is_refused(self):
        up = self.serve(ok(b"secret"), "other.example", "IP:127.0.0.2")
        self.assert_error(self.trusting().stream(up.url()), 502, "tls_failed")
        self.assert_error(self.trusting().stream(up.url(host="localhost")), 502, "tls_failed")
        self.assertEqual(up.requests, [])

    def test_a_self_signed_certificate_is_refused(self):
        up = self.upstream(ok(b"secret"), tls=self.authority.self_signed("localhost"))
        self.assert_error(self.trusting().stream(up.url(host="localhost")), 502, "tls_failed")

    def test_an_authority_that_is_not_configured_is_refused(self):
        up = self.serve(ok(b"secret"))
        self.assert_error(self.proxy().stream(up.url()), 502, "tls_failed")

    def test_insecure_hosts_are_not_verified_and_others_still_are(self):
        proxy = self.trusting(insecure_hosts=["localhost"])
        up = self.upstream(ok(b"x"), tls=self.authority.self_signed("wrong.example"))
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"x")
        self.assertEqual(proxy.stream(up.url()).status, 502)

    def test_verification_can_be_turned_off(self):
        up = self.upstream(ok(b"x"), tls=self.authority.self_signed("wrong.example"))
        proxy = self.proxy(upstream={"tls": {"verify": False}})
        self.assertEqual(proxy.stream(up.url()).body, b"x")

    def test_ipv6_upstreams_are_served(self):
        up = self.serve(ok(b"six"), host="::1")
        self.assertEqual(self.trusting().stream(up.url()).body, b"six")
        plain = self.upstream(ok(b"six"), host="::1")
        self.assertEqual(self.trusting().stream(plain.url()).body, b"six")
        self.assertEqual(plain.requests[0]["Host"], f"[::1]:{plain.port}")

    def test_connections_are_kept_and_large_bodies_arrive(self):
        body = os.urandom(3 << 20)
        up = self.serve(ok(body))
        for _ in range(3):
            self.assertEqual(self.trusting().stream(up.url()).body, body)
        self.assertEqual(up.connections, 1)

    def test_a_playlist_over_https_has_https_children(self):
        up = self.serve(playlist("#EXTM3U\n#EXTINF:1,\na.ts\n"))
        proxy = self.trusting()
        self.assertIn(
            proxy.origin + stream_path(up.url("/p/a.ts")), proxy.stream(up.url("/p/i.m3u8")).text
        )

    def test_redirects_between_http_and_https_are_followed(self):
        plain = self.upstream(ok(b"plain"))
        up = self.serve({"/down": redirect(plain.url("/x")), "/here": ok(b"tls")})
        self.assertEqual(self.trusting().stream(up.url("/down")).body, b"plain")
        plain.script = redirect(up.url("/here"))
        self.assertEqual(self.trusting().stream(plain.url("/up")).body, b"tls")

    def test_an_end_without_close_notify_truncates_only_a_body_of_known_length(self):
        up = self.serve(Answer(ok(b"whole").data, then="drop"))
        self.assertEqual(self.trusting().stream(up.url()).body, b"whole")
        up.script = Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", then="drop")
        response = self.trusting().stream(up.url())
        self.assertEqual((response.complete, response.ended_by), (False, "fin"))
        up.script = Answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + b"x" * 2000, then="drop"
        )
        proxy = self.trusting()
        proxy.mark()
        for version in ("1.1", "1.0"):
            response = proxy.stream(up.url(), version=version)
            self.assertEqual((response.body, response.complete), (b"x" * 2000, True))
        self.assertEqual(proxy.wait_for_access()["reason"], "ok")
        up.script = Answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + b"x" * 2000, then="close"
        )
        self.assertTrue(self.trusting().stream(up.url()).complete)

    def test_ends_without_close_notify_are_counted(self):
        up = self.serve(Answer(b"HTTP/1.1 200 OK\r\n\r\nbody", then="drop"))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        tls = {"upstream": {"tls": {"ca_file": self.authority.certificate}}}
        proxy = self.own_proxy({**tls, "pid_file": os.path.join(folder.name, "pid")})
        self.assertEqual(proxy.stream(up.url()).body, b"body")
        proxy.wait_for_access()
        totals = streamgate("-c", proxy.config_file, "-s", "status").stdout
        self.assertIn(" tls_ends_without_notify=1", totals)

    def test_a_server_without_secure_renegotiation_is_accepted(self):
        """A ServerHello without the extension of RFC 5746. OpenSSL's own server always sends it,
        so this one never continues: a client that accepts it waits for the certificate."""
        hello = b"\x03\x03" + bytes(range(32)) + b"\x00" + b"\xc0\x2f" + b"\x00"
        handshake = b"\x02" + len(hello).to_bytes(3, "big") + hello
        record = b"\x16\x03\x03" + len(handshake).to_bytes(2, "big") + handshake
        up = self.upstream(ok(b"never"), greeting=record)
        proxy = self.proxy(upstream={"connect_timeout": "300ms"})
        response = proxy.stream(up.url().replace("http://", "https://"))
        self.assert_error(response, 504, "connect_timeout")

    def test_old_versions_are_accepted_down_to_min_version(self):
        versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)
        for version, key in itertools.product(versions, (P256, ("rsa:2048",))):
            context = self.authority.issue("IP:127.0.0.1", key=key)
            context.minimum_version = context.maximum_version = version
            up = self.upstream(ok(b"old"), tls=context)
            self.assertEqual(self.trusting().stream(up.url()).body, b"old", version)
            strict = self.trusting(min_version="1.2").stream(up.url())
            self.assertEqual(strict.status, 200 if version is ssl.TLSVersion.TLSv1_2 else 502)

    def test_an_old_version_admits_no_weak_key(self):
        context = self.authority.issue("IP:127.0.0.1", key=("rsa:1024",))
        up = self.upstream(ok(b"weak"), tls=context)
        self.assert_error(self.trusting().stream(up.url()), 502, "tls_failed")

    def test_a_plain_upstream_behind_an_https_url_is_a_tls_failure(self):
        up = self.upstream(ok(b"plain"), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\nthis is plain")
        response = self.trusting().stream(up.url().replace("http:", "https:"))
        self.assert_error(response, 502, "tls_failed")


if __name__ == "__main__":
    main()
