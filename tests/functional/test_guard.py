"""Forbidden and malformed targets are refused without a connection."""

from harness import ProxyTest, main, stream_path
from upstream import ok, redirect


class Defaults(ProxyTest):
    settings = {"security": {"allow_private": False}}

    def test_loopback_is_forbidden_and_gets_no_connection(self):
        up = self.upstream(ok(b"secret"))
        six = self.upstream(ok(b"secret"), host="::1")
        for url in (
            up.url(),
            up.url(host="127.0.0.2"),
            six.url(),
            up.url(host="[::ffff:127.0.0.1]"),
            up.url(host="0.0.0.0"),
            up.url(host="[::]"),
            up.url(host="localhost"),
            up.url(host="LOCALHOST"),
            up.url(host="localhost."),
            up.url(host="x.localhost"),
        ):
            with self.subTest(url):
                self.assert_error(self.proxy().stream(url), 403, "target_forbidden")
        self.assertEqual((up.connections, six.connections), (0, 0))

    def test_every_private_range_is_forbidden(self):
        for host in (
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "0.1.2.3",
            "[fe80::1]",
            "[fc00::1]",
            "[fd12::1]",
            "[ff02::1]",
            "[fec0::1]",
            "[2001:db8::1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b:1::a00:1]",
            "[2002:7f00:1::]",
            "[::127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[2001::1]",
            "[100::1]",
        ):
            with self.subTest(host):
                self.assert_error(self.proxy().stream(f"http://{host}:9/"), 403, "target_forbidden")

    def test_other_spellings_of_ipv4_addresses_are_a_bad_url(self):
        up = self.upstream(ok(b"secret"))
        for host in (
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.01",
            "0x7f.0.0.0x1",
            "127.0.0.1.2",
            "256.0.0.1",
            "1.2.3.0x",
            "127.0.0.1..",
        ):
            with self.subTest(host):
                self.assert_error(self.proxy().stream(f"http://{host}:{up.port}/"), 400, "bad_url")
        self.assertEqual(up.connections, 0)

    def test_spellings_that_browsers_accept_are_checked_like_the_address(self):
        up = self.upstream(ok(b"secret"))
        for url in (
            "http:/127.0.0.1:PORT/",
            "http:127.0.0.1:PORT/",
            "http:\\\\127.0.0.1:PORT\\",
            "http://127.0.0.1:PORT\\@x/",
            "http://user@127.0.0.1:PORT/",
            "http://x:80@127.0.0.1:PORT/",
            "http://%31%32%37.0.0.1:PORT/",
            "http://１２７。０.0.1:PORT/",
            "http://127.0.0.1:PORT/|Host=x",
            " http://127.0.0.1:PORT/\n",
        ):
            with self.subTest(url):
                response = self.proxy().stream(url.replace("PORT", str(up.port)))
                self.assert_error(response, 403, "target_forbidden")
        self.assertEqual(up.connections, 0)

    def test_other_schemes_and_odd_authorities_are_a_bad_url(self):
        for url in (
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "ftp://x/",
            "data:text/plain,x",
            "javascript:1",
            "http://x:99999/",
            "http://x:y/",
            "http://[::1/",
            "http://[fe80::1%25lo]/",
            "http://a b/",
            "http://a<b/",
            "http://.../",
            "//x/",
            "/x",
            "x",
        ):
            with self.subTest(url):
                self.assert_error(self.proxy().stream(url), 400, "bad_url")

    def test_line_ends_and_nul_are_a_bad_url(self):
        for bad in ("%0d", "%0a", "%0d%0a", "%00"):
            for where in ("http://x{}/", "http://x/{}b", "http://x/?a={}b", "ht{}tp://x/"):
                with self.subTest(bad=bad, where=where):
                    target = "/stream?url=" + where.replace("{}", bad).replace("?", "%3f").replace(
                        "=", "%3d"
                    )
                    self.assert_error(self.proxy().ask(target), 400, "bad_url")


class Opened(ProxyTest):
    def test_allow_private_with_a_port_allows_that_port_only(self):
        up = self.upstream(ok(b"open"))
        other = self.upstream(ok(b"secret"))
        proxy = self.own_proxy({"security": {"allow_private": [f"127.0.0.1:{up.port}"]}})
        self.assertEqual(proxy.stream(up.url()).body, b"open")
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"open")
        self.assert_error(proxy.stream(other.url()), 403, "target_forbidden")
        up.script = redirect(other.url())
        self.assert_error(proxy.stream(up.url()), 403, "target_forbidden")
        self.assertEqual(other.connections, 0)

    def test_deny_wins_over_allow_private(self):
        up = self.upstream(ok(b"open"))
        proxy = self.own_proxy({"security": {"allow_private": True, "deny": ["127.0.0.1"]}})
        self.assert_error(proxy.stream(up.url()), 403, "target_forbidden")
        self.assert_error(proxy.stream(up.url(host="localhost")), 403, "target_forbidden")
        self.assertEqual(up.connections, 0)

    def test_a_non_empty_allow_list_is_exclusive(self):
        up = self.upstream(ok(b"open"))
        proxy = self.own_proxy({"security": {"allow_private": True, "allow": ["localhost"]}})
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"open")
        self.assert_error(proxy.stream(up.url()), 403, "target_forbidden")


class Ourselves(ProxyTest):
    def test_our_own_address_is_a_loop(self):
        proxy = self.proxy()
        for url in (
            proxy.origin + "/health",
            proxy.origin + stream_path(proxy.origin + "/health"),
            f"http://localhost:{proxy.port}/health",
        ):
            self.assert_error(proxy.stream(url), 508, "loop")

    def test_our_address_is_a_loop_behind_a_wildcard_listener_and_a_redirect(self):
        proxy = self.own_proxy({"listen": "0.0.0.0:0"})
        proxy.host = "127.0.0.1"
        up = self.upstream(redirect(f"http://127.0.0.1:{proxy.port}/health"))
        self.assert_error(proxy.stream(f"http://127.0.0.1:{proxy.port}/health"), 508, "loop")
        self.assert_error(proxy.stream(up.url()), 508, "loop")


if __name__ == "__main__":
    main()
