"""The `detail` of an error body: the facts that every client gets, and those for insiders only."""

import json
import tempfile
from urllib.parse import unquote

from certificates import Authority, WithAuthority
from harness import ProxyTest, closed_port, main, stream_path
from upstream import Answer, ok, redirect

FORWARDED = [("X-Forwarded-For", "203.0.113.9")]


class Details(ProxyTest):
    def detail(self, response, reason=None):
        """The detail of an error body, or None."""
        body = json.loads(response.body)
        if reason:
            self.assertEqual(body["error"], reason)
        return body.get("detail")

    def both(self, proxy, url, reason, **parameters):
        """The detail for a peer on loopback, and for a client behind a front."""
        return tuple(
            self.detail(proxy.stream(url, headers, **parameters), reason)
            for headers in ([], FORWARDED)
        )


class Certificates(WithAuthority, Details):
    def trusting(self):
        return self.proxy(upstream={"tls": {"ca_file": self.authority.certificate}})

    def public_detail(self, proxy, tls, host="localhost"):
        """The detail for outsiders. That for insiders has the address too."""
        up = self.upstream(ok(b"x"), tls=tls)
        insider, outsider = self.both(proxy, up.url(host=host), "tls_failed")
        self.assertIn(f"127.0.0.1:{up.port}", insider)
        self.assertNotIn("127.0.0.1:", outsider)
        return outsider

    def test_the_detail_of_an_expired_certificate_has_its_last_day(self):
        tls = self.authority.issue_between("20200101000000Z", "20200102000000Z", "localhost")
        self.assertEqual(
            self.public_detail(self.trusting(), tls),
            "the upstream's certificate has expired (2020-01-02T00:00:00Z)",
        )

    def test_the_detail_of_a_certificate_that_is_not_yet_valid_has_its_first_day(self):
        tls = self.authority.issue_between("20400101000000Z", "20410101000000Z", "localhost")
        self.assertEqual(
            self.public_detail(self.trusting(), tls),
            "the upstream's certificate is not valid yet (2040-01-01T00:00:00Z)",
        )

    def test_the_detail_names_a_self_signed_certificate(self):
        self.assertEqual(
            self.public_detail(self.trusting(), self.authority.self_signed("localhost")),
            "the upstream's certificate is self-signed",
        )

    def test_an_unknown_issuer_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            other = Authority(folder, "Other <b>&\" CA")
            detail = self.public_detail(self.trusting(), other.issue("localhost"))
        self.assertEqual(
            detail, "the issuer of the upstream's certificate is not known (Other <b>&\" CA)"
        )

    def test_only_insiders_learn_that_the_machine_has_no_authorities(self):
        nowhere = {"SSL_CERT_FILE": "/nonexistent/file", "SSL_CERT_DIR": "/nonexistent"}
        proxy = self.own_proxy(environment=nowhere)
        up = self.upstream(ok(b"x"), tls=self.authority.issue("localhost"))
        insider, outsider = self.both(proxy, up.url(host="localhost"), "tls_failed")
        self.assertIn("no certificate authorities were found", insider)
        self.assertIn("upstream.tls.ca_file", insider)
        self.assertEqual(
            outsider, "the issuer of the upstream's certificate is not known (Streamgate test CA)"
        )

    def test_the_detail_of_a_wrong_name_has_the_names_of_the_certificate(self):
        tls = self.authority.issue("a.example", "*.b.example", "IP:10.1.2.3")
        up = self.upstream(ok(b"x"), tls=tls)
        proxy = self.trusting()
        insider, outsider = self.both(proxy, up.url(host="localhost"), "tls_failed")
        self.assertIn("(it has a.example, *.b.example, 10.1.2.3)", insider)
        self.assertEqual(
            outsider,
            "the upstream's certificate is for another name (it has a.example, *.b.example)",
        )

    def test_many_names_are_counted(self):
        tls = self.authority.issue(*(f"n{i}.example" for i in range(9)))
        detail = self.public_detail(self.trusting(), tls)
        self.assertIn("n4.example and 4 more)", detail)
        self.assertNotIn("n5.example", detail)

    def test_the_detail_says_that_the_upstream_does_not_speak_tls(self):
        up = self.upstream(ok(b"x"), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n")
        _, outsider = self.both(
            self.trusting(), up.url().replace("http:", "https:"), "tls_failed"
        )
        self.assertEqual(outsider, "the upstream does not speak TLS on this port")


class Upstreams(Details):
    def test_only_insiders_get_the_address_of_a_refused_connection(self):
        port = closed_port()
        insider, outsider = self.both(
            self.proxy(), f"http://localhost:{port}/", "connect_failed"
        )
        self.assertIn(f":{port}: Connection refused", insider)
        self.assertEqual(outsider, "the connection was refused")

    def test_the_detail_says_that_a_name_does_not_exist(self):
        for detail in self.both(self.proxy(), "http://no-such-host.invalid/", "dns_failed"):
            self.assertIsNotNone(detail)

    def test_only_insiders_get_a_private_address_and_its_key(self):
        proxy = self.proxy(security={"allow_private": []})
        insider, outsider = self.both(proxy, "http://10.1.2.3:8080/x", "target_forbidden")
        self.assertIn("10.1.2.3:8080", insider)
        self.assertIn("security.allow_private", insider)
        self.assertIsNone(outsider)

    def test_insiders_get_the_key_of_each_refused_target(self):
        proxy = self.proxy(
            security={"allow": ["good.example"], "deny": ["bad.example"], "allow_private": []}
        )
        for url, reason, key in (
            ("http://bad.example/", "target_forbidden", "security.deny"),
            ("http://other.example/", "target_forbidden", "security.allow"),
            ("http://good.example:25/", "port_forbidden", "security.ports"),
        ):
            insider, outsider = self.both(proxy, url, reason)
            self.assertIn(key, insider)
            self.assertIsNone(outsider)

    def test_only_insiders_get_the_key_of_a_limit(self):
        proxy = self.proxy(upstream={"first_byte_timeout": "100ms", "max_redirects": 1})
        silent = self.upstream(Answer(b"", "stall"))
        insider, outsider = self.both(proxy, silent.url(), "first_byte_timeout")
        self.assertIn("upstream.first_byte_timeout", insider)
        self.assertIsNone(outsider)
        circle = self.upstream(redirect("/again?token=SECRET"))
        insider, outsider = self.both(proxy, circle.url(), "too_many_redirects")
        self.assertIn("upstream.max_redirects", insider)
        self.assertNotIn("SECRET", insider)
        self.assertEqual(outsider, "more than 1 redirects")

    def test_only_insiders_get_the_target_of_the_redirect_that_failed(self):
        port = closed_port()
        up = self.upstream(
            {
                "/a": redirect("/b"),
                "/b": redirect(f"http://user:SECRET@localhost:{port}/c?token=SECRET"),
            }
        )
        insider, outsider = self.both(self.proxy(), up.url("/a"), "connect_failed")
        self.assertTrue(insider.startswith(f"redirect 2 to http://localhost:{port}: "), insider)
        self.assertNotIn("SECRET", insider)
        self.assertEqual(outsider, "redirect 2: the connection was refused")

    def test_outsiders_get_no_address_of_a_redirect_to_a_private_address(self):
        up = self.upstream(redirect("http://10.1.2.3/x"))
        insider, outsider = self.both(self.proxy(), up.url(), "target_forbidden")
        self.assertTrue(insider.startswith("redirect 1 to http://10.1.2.3:"), insider)
        self.assertEqual(outsider, "redirect 1 failed")

    def test_the_location_of_an_unusable_redirect_has_no_secrets(self):
        up = self.upstream(redirect("ftp://user:SECRET@h/x?k=SECRET"))
        insider, outsider = self.both(self.proxy(), up.url(), "bad_response")
        self.assertIn("redirect 1: redirect to an unusable URL: ftp://", insider)
        self.assertNotIn("SECRET", insider)
        self.assertEqual(outsider, "redirect 1 failed")

    def test_a_detail_has_at_most_512_bytes(self):
        up = self.upstream(redirect("ftp://h/" + "x" * 5000))
        insider, _ = self.both(self.proxy(), up.url(), "bad_response")
        self.assertEqual(len(insider), 512)


class OwnRequests(Details):
    def test_a_refused_header_is_named_with_the_reason(self):
        for name, why in (
            ("Host", "the proxy sets this header itself"),
            ("X-Forwarded-For", "the proxy sets this header itself"),
            ("a%20b", "it is not the name of a header"),
        ):
            for detail in self.both(self.proxy(), "http://h/", "bad_request", **{"h_" + name: "v"}):
                self.assertEqual(detail, f"h_{unquote(name)} is not allowed: {why}")
        for detail in self.both(self.proxy(), "http://h/", "bad_request", h_X="SECRET\x01"):
            self.assertIn("h_X is not allowed: its value has a byte", detail)

    def test_the_detail_names_a_bad_referer(self):
        for detail in self.both(self.proxy(), "http://h/", "bad_request", referer="nothing"):
            self.assertEqual(detail, "the referer is not an http(s) URL")

    def test_an_overlong_request_line_names_its_limit_only_with_true(self):
        target = "/stream?url=" + "x" * 20000
        self.assertIsNone(self.detail(self.proxy().ask(target), "uri_too_long"))
        detail = self.detail(self.proxy(errors={"detail": True}).ask(target), "uri_too_long")
        self.assertIn("limits.request_line", detail)


class Audience(Details):
    settings = {"security": {"allow_private": []}}
    URL = "http://10.1.2.3/"

    def gets_details(self, proxy, headers=()):
        return self.detail(proxy.stream(self.URL, list(headers)), "target_forbidden") is not None

    def test_true_is_for_every_client_and_false_for_none(self):
        for headers in ((), FORWARDED):
            self.assertTrue(self.gets_details(self.proxy(errors={"detail": True}), headers))
            self.assertFalse(self.gets_details(self.proxy(errors={"detail": False}), headers))

    def test_auto_excludes_clients_behind_a_proxy(self):
        proxy = self.proxy()
        self.assertTrue(self.gets_details(proxy))
        for name, value in (
            ("Via", "1.1 front"),
            ("via", "1.1 front"),
            ("Forwarded", "for=127.0.0.1"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Proto", "http"),
            ("X-Real-IP", "127.0.0.1"),
            ("CDN-Loop", "another"),
        ):
            self.assertFalse(self.gets_details(proxy, [(name, value)]), name)

    def test_auto_includes_pages_of_the_local_network_and_excludes_public_ones(self):
        proxy = self.proxy()
        for origin in ("http://localhost:3000", "http://127.0.0.1", "https://192.168.1.5:8443"):
            self.assertTrue(self.gets_details(proxy, [("Origin", origin)]), origin)
        for origin in ("https://public.example", "null", "http://8.8.8.8", "http://localhost.x.y"):
            self.assertFalse(self.gets_details(proxy, [("Origin", origin)]), origin)

    def test_auto_excludes_public_peers(self):
        proxy = self.own_proxy(
            {"listen": [{"address": "127.0.0.1:0", "proxy_protocol": True}]}
        )
        for client, gets_details in (("8.8.8.8", False), ("192.168.1.9", True)):
            with proxy.connect() as connection:
                connection.send(f"PROXY TCP4 {client} 127.0.0.1 1 2\r\n".encode())
                connection.request(stream_path(self.URL))
                detail = self.detail(connection.read_response(), "target_forbidden")
            self.assertEqual(detail is not None, gets_details, client)


if __name__ == "__main__":
    main()
