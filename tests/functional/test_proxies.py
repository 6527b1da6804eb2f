"""upstream.proxy: upstreams that are reached through an HTTP or a SOCKS5 proxy."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from certificates import Authority
from harness import ProxyTest, closed_port, main, stream_path, streamgate, wait_until
from proxies import HttpProxy, ScriptedProxy, SocksProxy
from upstream import ok, redirect

SQUID = "/usr/sbin/squid"


class ProxiedTest(ProxyTest):
    def start(self, proxy):
        self.addCleanup(proxy.stop)
        return proxy

    def through(self, address, **upstream):
        """A Streamgate that reaches upstreams through `address`. Its guard allows loopback."""
        return self.proxy(
            upstream={"proxy": address, "connect_timeout": "3s", **upstream},
            security={"allow_private": ["loopback"], **self.security},
        )

    security = {}

    def assert_refused(self, address, detail, **upstream):
        proxy = self.through(address, **upstream)
        up = self.upstream(ok(b"never"))
        self.assert_error(proxy.stream(up.url()), 502, "proxy_failed")
        entry = proxy.wait_for_access()
        self.assertEqual(entry["reason"], "proxy_failed")
        self.assertIn(detail, entry["detail"])
        self.assertEqual(up.connections, 0)


class ThroughHttp(ProxiedTest):
    def test_an_http_target_is_reached_by_connect_to_the_checked_address(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(HttpProxy())
        proxy = self.through(f"http://{other.address()}")
        response = proxy.stream(up.url("/a?b=c", host="localhost"))
        self.assertEqual((response.status, response.body), (200, b"hello"))
        self.assertIn(
            f"CONNECT 127.0.0.1:{up.port} HTTP/1.1\r\nHost: 127.0.0.1:{up.port}".encode(),
            other.heads,
        )
        self.assertEqual(up.requests[0].line, "GET /a?b=c HTTP/1.1")
        self.assertEqual(up.requests[0]["Host"], f"localhost:{up.port}")

    def test_the_tunnel_is_used_again(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(HttpProxy())
        proxy = self.through(f"http://{other.address()}")
        for _ in range(3):
            self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.assertEqual((other.connections, up.connections), (1, 1))

    def test_https_keeps_the_name_in_sni_and_host(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            authority = Authority(folder)
            up = self.upstream(ok(b"secret"), tls=authority.issue("localhost"))
            other = self.start(HttpProxy())
            proxy = self.through(
                f"http://{other.address()}", tls={"ca_file": authority.certificate}
            )
            self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"secret")
            self.assertEqual(up.tls.names_asked_for, ["localhost"])
            self.assertEqual(up.requests[0]["Host"], f"localhost:{up.port}")

    def test_a_bad_certificate_behind_the_proxy_is_tls_failed(self):
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder)
            up = self.upstream(ok(b"secret"), tls=authority.self_signed("localhost"))
            other = self.start(HttpProxy())
            response = self.through(f"http://{other.address()}").stream(up.url(host="localhost"))
            self.assert_error(response, 502, "tls_failed")

    def test_credentials_go_to_the_proxy_only_and_never_to_a_log(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(HttpProxy(credentials=b"us er:p@ss:w"))
        proxy = self.through(f"http://us%20er:p%40ss%3Aw@{other.address()}")
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.assertNotIn(b"Proxy-Authorization", up.requests[0].raw)
        wrong = self.through(f"http://us%20er:hidden@{other.address()}")
        self.assert_error(wrong.stream(up.url()), 502, "proxy_failed")
        detail = wrong.wait_for_access()["detail"]
        self.assertEqual(
            detail, f"http://{other.address()}: 407: the proxy refuses the user or the password"
        )
        self.assertNotIn("hidden", wrong.log())

    def test_a_407_without_credentials_is_named_in_detail(self):
        other = self.start(HttpProxy(credentials=b"a:b"))
        self.assert_refused(f"http://{other.address()}", "407: the proxy asks for a user")

    def test_the_head_of_the_answer_may_come_in_any_pieces(self):
        up = self.upstream(ok(b"hello"))

        def script(peer):
            peer.read_head()
            peer.send_bytewise(
                b"HTTP/1.1 100 Continue\r\n\r\n"
                b"HTTP/1.0 200 OK\r\nVia: x\r\nContent-Length: 9\r\n\r\n"
            )
            request = peer.read_head()
            self.assertTrue(request.startswith(b"GET /"))
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            peer.wait_for_close()

        other = self.start(ScriptedProxy(script))
        self.assertEqual(self.through(f"http://{other.address()}").stream(up.url()).body, b"hello")

    def test_refusals_and_malformed_answers_are_proxy_failed(self):
        cases = (
            (b"HTTP/1.1 403 No\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n", "ERR_ACCESS_DENIED"),
            (b"HTTP/1.1 502 Bad\r\n\r\n", "CONNECT: 502 Bad Gateway"),
            (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "CONNECT: 302"),
            (b"SSH-2.0-OpenSSH\r\n", "malformed answer to CONNECT"),
            (b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", "malformed answer to CONNECT"),
            (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9000, "malformed answer to CONNECT"),
            (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "bytes after the answer"),
            (b"HTTP/1.1 101 Switching\r\n\r\n", "malformed answer to CONNECT"),
            (b"HTTP/1.1 200", "the proxy closed the connection"),
            (b"", "the proxy closed the connection"),
        )
        for answer, detail in cases:
            with self.subTest(answer=answer[:60]):

                def script(peer, answer=answer):
                    peer.read_head()
                    peer.send(answer)
                    peer.connection.shutdown(socket.SHUT_WR)
                    peer.wait_for_close()

                other = self.start(ScriptedProxy(script))
                self.assert_refused(f"http://{other.address()}", detail)

    def test_a_proxy_that_is_not_there_is_proxy_failed(self):
        self.assert_refused(f"http://127.0.0.1:{closed_port()}", "Connection refused")
        self.assert_refused("http://no-such-proxy.invalid:3128", "no-such-proxy.invalid:3128")

    def test_a_silent_proxy_runs_into_the_connect_timeout(self):
        other = self.start(ScriptedProxy(lambda peer: peer.wait_for_close()))
        for scheme in ("http", "socks5"):
            proxy = self.through(f"{scheme}://{other.address()}", connect_timeout="300ms")
            up = self.upstream(ok(b"never"))
            self.assert_error(proxy.stream(up.url()), 504, "connect_timeout")
            self.assertIn("its answer", proxy.wait_for_access()["detail"])

    def test_a_timeout_of_a_proxy_does_not_mark_the_origin_as_down(self):
        other = self.start(ScriptedProxy(lambda peer: peer.wait_for_close()))
        hosts = {"127.0.0.1": {"proxy": f"http://{other.address()}"}}
        proxy = self.proxy(
            upstream={"connect_timeout": "300ms", "failover_stick": "0s", "hosts": hosts},
            security={"allow_private": ["loopback"]},
        )
        up = self.upstream(ok(b"first"), host="127.0.0.1")
        link = stream_path(up.url(), sg_alt=self.upstream(ok(b"second"), host="127.0.0.2").url())
        for count in (1, 2):  # the second request would not ask an origin that is down
            self.assertEqual(proxy.ask(link).body, b"second")
            self.assertEqual(other.connections, count)

    def test_the_guard_holds_for_targets_and_not_for_the_proxy(self):
        other = self.start(HttpProxy())
        proxy = self.proxy(
            upstream={"proxy": f"http://{other.address('localhost')}"},
            security={"allow_private": ["127.0.0.2"]},
        )
        up = self.upstream(ok(b"hello"), host="127.0.0.2")
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        secret = self.upstream(ok(b"secret"))
        self.assert_error(proxy.stream(secret.url()), 403, "target_forbidden")
        gate = self.upstream(redirect(secret.url()), host="127.0.0.2")
        self.assert_error(proxy.stream(gate.url()), 403, "target_forbidden")
        self.assertEqual(secret.connections, 0)

    def test_a_host_may_be_an_exception(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(HttpProxy())
        proxy = self.through(f"http://{other.address()}", hosts={"localhost": {"proxy": "none"}})
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"hello")
        self.assertEqual(other.heads, [])
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.assertEqual(len(other.heads), 1)
        self.assertEqual(up.connections, 2)  # the direct connection was not used for it

    def test_each_hop_of_a_redirect_uses_the_proxy_of_its_host(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(HttpProxy())
        proxy = self.through("none", hosts={"127.0.0.1": {"proxy": f"http://{other.address()}"}})
        gate = self.upstream(redirect(up.url()))
        self.assertEqual(proxy.stream(gate.url(host="localhost")).body, b"hello")
        targets = [head.split()[1] for head in other.heads]
        self.assertEqual(targets, [f"127.0.0.1:{up.port}".encode()])


class ResolvedRemotely(ProxiedTest):
    security = {"allow": ["*.streams.example", "127.0.0.0/8"]}

    def test_http_goes_in_absolute_form_with_credentials(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(
            HttpProxy(b"a:b", names={"tv.streams.example:8080": ("127.0.0.1", up.port)})
        )
        proxy = self.through(f"http://a:b@{other.address()}", resolve="remote")
        self.assertEqual(proxy.stream("http://tv.streams.example:8080/x?y=z").body, b"hello")
        self.assertTrue(
            other.heads[0].startswith(
                b"GET http://tv.streams.example:8080/x?y=z HTTP/1.1\r\n"
                b"Proxy-Authorization: Basic YTpi\r\nHost: tv.streams.example:8080\r\n"
            ),
            other.heads[0],
        )
        other.credentials = b"a:c"
        self.assert_error(proxy.stream("http://tv.streams.example:8080/x"), 502, "proxy_failed")
        wait_until(lambda: "407: the proxy refuses the user" in proxy.log())

    def test_https_goes_by_connect_to_the_name(self):
        other = self.start(HttpProxy())
        proxy = self.through(f"http://{other.address()}", resolve="remote")
        response = proxy.stream("https://tv.streams.example/")
        self.assert_error(response, 502, "proxy_failed")  # 503: the name does not exist
        self.assertTrue(other.heads[0].startswith(b"CONNECT tv.streams.example:443 HTTP/1.1\r\n"))

    def test_a_name_needs_an_entry_of_the_allow_list_that_is_a_name(self):
        other = self.start(SocksProxy())
        proxy = self.through(f"socks5h://{other.address()}")
        self.assert_error(proxy.stream("http://other.example/"), 403, "target_forbidden")
        self.assertEqual(other.connections, 0)

    def test_a_redirect_to_a_name_that_is_not_allowed_leads_to_the_next_url(self):
        other = self.start(SocksProxy())
        proxy = self.through(f"socks5h://{other.address()}")
        up = self.upstream({"/a": redirect("http://other.example/"), "/b": ok(b"second")})
        link = stream_path(up.url("/a"), sg_alt=up.url("/b"))
        self.assertEqual(proxy.ask(link).body, b"second")

    def test_a_407_in_absolute_form_leads_to_the_next_url(self):
        other = self.start(HttpProxy(b"a:b"))
        settings = {"proxy": f"http://a:c@{other.address()}", "resolve": "remote"}
        proxy = self.proxy(
            upstream={"hosts": {"tv.streams.example": settings}},
            security={"allow_private": ["loopback"], **self.security},
        )
        link = stream_path("http://tv.streams.example/a", sg_alt=self.upstream(ok(b"second")).url())
        self.assertEqual(proxy.ask(link).body, b"second")
        self.assertEqual(len(other.heads), 1)

    def test_addresses_are_still_checked(self):
        other = self.start(SocksProxy())
        proxy = self.through(f"socks5h://{other.address()}")
        self.assert_error(proxy.stream("http://10.0.0.1/"), 403, "target_forbidden")
        up = self.upstream(ok(b"hello"))
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.assertEqual(other.targets, [(5, 1, "127.0.0.1", up.port)])

    def test_socks5h_names_the_host(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(SocksProxy(names={"tv.streams.example": ("127.0.0.1", up.port)}))
        proxy = self.through(f"socks5h://{other.address()}")
        self.assertEqual(proxy.stream("http://tv.streams.example/").body, b"hello")
        self.assertEqual(other.targets, [(5, 1, "tv.streams.example", 80)])
        self.assertEqual(up.requests[0].line, "GET / HTTP/1.1")


class ThroughSocks(ProxiedTest):
    def test_the_checked_address_is_asked_for(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(SocksProxy())
        proxy = self.through(f"socks5://{other.address()}")
        self.assertEqual(proxy.stream(up.url(host="localhost")).body, b"hello")
        self.assertEqual(other.targets[-1], (5, 1, "127.0.0.1", up.port))
        self.assertEqual(other.offers[0], b"\0")
        self.assertEqual(up.requests[0]["Host"], f"localhost:{up.port}")

    def test_an_ipv6_target_and_replies_byte_by_byte(self):
        up = self.upstream(ok(b"hello"), host="::1")
        other = self.start(SocksProxy(bytewise=True))
        proxy = self.through(f"socks5://{other.address()}")
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.assertEqual(other.targets, [(5, 1, "::1", up.port)])

    def test_user_and_password(self):
        up = self.upstream(ok(b"hello"))
        other = self.start(SocksProxy(b"user", b"p:w"))
        proxy = self.through(f"socks5://user:p%3Aw@{other.address()}")
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.assertEqual(other.offers[0], b"\0\2")
        self.assert_refused(f"socks5://user:hidden@{other.address()}", "refuses the user")
        self.assert_refused(f"socks5://{other.address()}", "asks for a user and a password")

    def test_refusals_and_malformed_answers_are_proxy_failed(self):
        cases = (
            ([b"\x05\xff"], "asks for a user and a password"),
            ([b"\x04\x00"], "does not speak SOCKS5"),
            ([b"HTTP/1.1 400 Bad\r\n\r\n"], "bytes after the answer"),
            ([b"\x05\x00\x05\x00"], "bytes after the answer"),
            ([b"\x05\x00", b"\x05\x02"], "not allowed by its rules"),
            ([b"\x05\x00", b"\x05\x04\x00\x01\0\0\0\0\0\0"], "host unreachable"),
            ([b"\x05\x00", b"\x05\x77"], "unknown failure (119)"),
            ([b"\x05\x00", b"\x05\x00\x00\x09\0\0"], "unknown type of address"),
            ([b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0x"], "bytes after the answer"),
            ([b"\x05\x00", b"\x05\x00\x00\x01\0"], "the proxy closed the connection"),
            ([b""], "the proxy closed the connection"),
        )
        for answers, detail in cases:
            with self.subTest(answers=answers):

                def script(peer, answers=answers):
                    for i, answer in enumerate(answers):
                        peer.read(3 if i == 0 else 10)
                        peer.send(answer)
                    peer.connection.shutdown(socket.SHUT_WR)
                    peer.wait_for_close()

                other = self.start(ScriptedProxy(script))
                self.assert_refused(f"socks5://{other.address()}", detail)


class Configuration(unittest.TestCase):
    def check(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            return streamgate("--check", "-c", file.name)

    def test_remote_names_need_an_allow_list(self):
        for upstream in ("{proxy: 'socks5h://a:1'}", "{proxy: 'http://a:1', resolve: remote}"):
            refused = self.check(f"workers: 1\nupstream: {upstream}\n")
            self.assertEqual(refused.returncode, 1)
            self.assertIn(":2: upstream.proxy: the proxy resolves names", refused.stderr)
            allowed = self.check(f"upstream: {upstream}\nsecurity: {{allow: [a.example]}}\n")
            self.assertEqual(allowed.returncode, 0, allowed.stderr)

    def test_wrong_proxies_are_refused_without_their_credentials(self):
        for value in ("ftp://u:secret@a:1", "http://u:secret@a", "http://u:secret@a:1/p", "secret"):
            refused = self.check(f"\nupstream:\n  proxy: {value}\n")
            self.assertEqual(refused.returncode, 1)
            self.assertIn(":3: upstream.proxy: is not a proxy", refused.stderr)
            self.assertNotIn("secret", refused.stderr)


@unittest.skipUnless(os.access(SQUID, os.X_OK), "squid is not installed")
class ThroughSquid(ProxiedTest):
    def squid(self, rules=""):
        folder = tempfile.mkdtemp(prefix="streamgate-squid-")
        self.addCleanup(shutil.rmtree, folder, True)
        os.chmod(folder, 0o777)
        port = closed_port()
        with open(f"{folder}/squid.conf", "w", encoding="ascii") as file:
            file.write(
                f"http_port 127.0.0.1:{port}\nacl SSL_ports port 1-65535\n{rules}"
                f"http_access allow all\ncache deny all\npid_filename {folder}/pid\n"
                f"access_log stdio:{folder}/access.log\ncache_log {folder}/cache.log\n"
                f"shutdown_lifetime 0 seconds\nvisible_hostname test\ncoredump_dir {folder}\n"
            )
        process = subprocess.Popen(
            [SQUID, "-N", "-f", f"{folder}/squid.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def stop():
            process.send_signal(signal.SIGKILL)
            process.wait()

        self.addCleanup(stop)

        def is_up():
            self.assertIsNone(process.poll(), "squid has exited")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(is_up, 30, "squid")
        return port

    def test_connect_and_absolute_form(self):
        up = self.upstream(ok(b"hello"))
        port = self.squid()
        proxy = self.through(f"http://127.0.0.1:{port}")
        self.assertEqual(proxy.stream(up.url()).body, b"hello")
        self.security = {"allow": ["localhost"]}
        proxy = self.through(f"http://127.0.0.1:{port}", resolve="remote")
        self.assertEqual(proxy.stream(up.url("/x", host="localhost")).body, b"hello")

        # Squid marks the request that it has read, and sees nothing of the tunnel.
        self.assertEqual(up.requests[0]["Via"], None)
        self.assertIn("squid", up.requests[1]["Via"])

    def test_ssl_ports(self):
        port = self.squid(
            "acl CONNECT method CONNECT\nacl only port 443\nhttp_access deny CONNECT !only\n"
        )
        self.assert_refused(f"http://127.0.0.1:{port}", "CONNECT: 403 Forbidden, ERR_ACCESS_DENIED")


if __name__ == "__main__":
    main()
