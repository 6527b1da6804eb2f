"""The client's address: the peer, a header of a trusted proxy, or the PROXY protocol."""

import os
import shutil
import socket
import ssl
import struct
import tempfile
import time

from certificates import Authority
from harness import ProxyTest, main, stream_path, streamgate, wait_until
from upstream import ok, playlist

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
REQUEST = b"GET /health HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"


def version_2(source=None, command=1, family=0x11, extra=b"", port=4711):
    """A binary header; `source` is an address, or None for one without addresses."""
    addresses = b""
    if source and ":" in source:
        addresses = socket.inet_pton(socket.AF_INET6, source) + bytes(16)
    elif source:
        addresses = socket.inet_aton(source) + bytes(4)
    if source:
        addresses += struct.pack(">HH", port, 443)
    addresses += extra
    return SIGNATURE + struct.pack(">BBH", 0x20 | command, family, len(addresses)) + addresses


class Headers(ProxyTest):
    settings = {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"]}

    def client_of(self, settings, headers):
        proxy = self.proxy(**settings)
        proxy.mark()
        proxy.ask("/nothing", headers)
        return proxy.wait_for_access()["client"]

    def test_by_default_the_client_is_the_peer(self):
        client = self.client_of({}, {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"})
        self.assertTrue(client.startswith("127.0.0.1:"), client)

    def test_the_rightmost_untrusted_address_of_x_forwarded_for_is_the_client(self):
        settings = {"client_address": "x-forwarded-for"}
        peer = "127.0.0.1"
        for value, expected in (
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.9,192.0.2.1, 10.1.2.3 ,2001:db8:1::5", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1:4711"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:99", "[2001:db8::7]:99"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"),
            ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
            ("192.0.2.1, unknown", peer),
            ("192.0.2.1, _hidden, 10.0.0.2", "10.0.0.2"),
            ("192.0.2.1, 192.0.2.300", peer),
            ("192.0.2.1, 192.0.2.2:99999", peer),
            ("192.0.2.1, for=192.0.2.2", peer),
            ("192.0.2.1,,  ,", "192.0.2.1"),
            ("", peer),
        ):
            with self.subTest(value):
                client = self.client_of(
                    settings, {"X-Forwarded-For": value, "Forwarded": "for=203.0.113.1"}
                )
                if expected == peer:
                    self.assertTrue(client.startswith(peer + ":"), client)
                else:
                    self.assertEqual(client, expected)

    def test_several_lines_of_a_header_are_one_list(self):
        lines = [("X-Forwarded-For", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2, 10.0.0.1")]
        self.assertEqual(
            self.client_of({"client_address": "x-forwarded-for"}, lines), "192.0.2.2"
        )

    def test_the_rightmost_untrusted_address_of_forwarded_is_the_client(self):
        settings = {"client_address": "forwarded"}
        peer = "127.0.0.1"
        for value, expected in (
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=192.0.2.1;proto=https;by=203.0.113.43", "192.0.2.1"),
            ("proto=http; for=192.0.2.1 ;host=a", "192.0.2.1"),
            ('for="192.0.2.1:4711"', "192.0.2.1:4711"),
            ('for="[2001:db8::7]"', "2001:db8::7"),
            ('for="[2001:db8::7]:99"', "[2001:db8::7]:99"),
            ('for="192.0.2.1:_port"', "192.0.2.1"),
            ("for=192.0.2.9, for=192.0.2.1, for=10.0.0.1", "192.0.2.1"),
            # An open quote of the client does not swallow the proxy's elements.
            ('for="192.0.2.9, for=192.0.2.1', "192.0.2.1"),
            ('for="\\, for="[2001:db8::7]:1", for=10.0.0.1', "[2001:db8::7]:1"),
            ('for=192.0.2.1;host="a, for=192.0.2.9"', "192.0.2.1"),
            ('for=192.0.2.1;host="a\\", for=192.0.2.9"', "192.0.2.1"),
            ('for="192.0.2.\\1"', peer),
            ("for=192.0.2.9, for=unknown", peer),
            ("for=192.0.2.9, for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=192.0.2.9, proto=http", peer),
            ("for=192.0.2.9;for=192.0.2.8", peer),
            ("for=[2001:db8::7]", peer),
            ('for="2001:db8::7"', peer),
            ("192.0.2.9", peer),
            ("for=192.0.2.9 x", peer),
            ('for="192.0.2.9"x', peer),
        ):
            with self.subTest(value):
                client = self.client_of(
                    settings, {"Forwarded": value, "X-Forwarded-For": "203.0.113.1"}
                )
                if expected == peer:
                    self.assertTrue(client.startswith(peer + ":"), client)
                else:
                    self.assertEqual(client, expected)

    def test_each_request_of_a_connection_has_its_own_client(self):
        proxy = self.proxy(client_address="x-forwarded-for")
        proxy.mark()
        with proxy.connect() as client:
            for headers in ({"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}, {}):
                client.request("/nothing", headers)
                client.read_response()
            client.send(b"nonsense\r\n\r\n")
            client.read_response()
        proxy.wait_for_access(4)
        clients = [entry["client"] for entry in proxy.access_log()]
        self.assertEqual(clients[:2], ["192.0.2.1", "192.0.2.2"])
        for peer in clients[2:]:
            self.assertTrue(peer.startswith("127.0.0.1:"), clients)

    def test_a_peer_that_is_not_trusted_cannot_name_a_client(self):
        client = self.client_of(
            {"client_address": "x-forwarded-for", "trusted_proxies": ["192.0.2.0/24"]},
            {"X-Forwarded-For": "198.51.100.1"},
        )
        self.assertTrue(client.startswith("127.0.0.1:"), client)


class DefaultList(ProxyTest):
    def test_without_trusted_proxies_in_the_file_the_header_is_ignored(self):
        proxy = self.own_proxy({"client_address": "x-forwarded-for"})
        detail = proxy.wait_for_event("config.warning")["warning"]
        self.assertIn("trusted_proxies is not set", detail)
        proxy.ask("/nothing", {"X-Forwarded-For": "192.0.2.1"})
        self.assertTrue(proxy.wait_for_access()["client"].startswith("127.0.0.1:"))
        shown = streamgate("-c", proxy.config_file, "--print-config").stdout
        self.assertIn("client_address: peer\n", shown)
        checked = streamgate("-c", proxy.config_file, "--check")
        self.assertEqual(checked.returncode, 0)
        self.assertIn("client_address: is ignored", checked.stderr)


class ProxyProtocol(ProxyTest):
    settings = {
        "listen": [{"address": "127.0.0.1:0", "proxy_protocol": True}],
        "client": {"header_timeout": "1s"},
    }

    def send(self, proxy, data):
        client = proxy.connect()
        self.addCleanup(client.close)
        client.send(data)
        return client

    def started(self, **settings):
        """mark() needs a connection without the header, so every test has a proxy of its own."""
        return self.own_proxy(settings)

    def test_the_header_names_the_client(self):
        proxy = self.started()
        cases = (
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n", "192.0.2.1:4711"),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "[2001:db8::7]:4711"),
            (version_2("192.0.2.2"), "192.0.2.2:4711"),
            (version_2("2001:db8::8", family=0x21), "[2001:db8::8]:4711"),
            (version_2("192.0.2.3", extra=b"\x04\x01\x00" + bytes(256)), "192.0.2.3:4711"),
            (version_2("::ffff:192.0.2.4", family=0x21), "192.0.2.4:4711"),
        )
        for i, (header, expected) in enumerate(cases):
            with self.subTest(header):
                response = self.send(proxy, header + REQUEST).read_response()
                self.assertEqual(response.status, 200)
                wait_until(lambda n=i: len(proxy.access_log()) > n)
                self.assertEqual(proxy.access_log()[i]["client"], expected)

    def test_a_proxy_may_connect_for_itself(self):
        proxy = self.started()
        cases = (
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN 192.0.2.1 198.51.100.1 4711 80\r\n",
            version_2(command=0, family=0),
            version_2("192.0.2.1", command=0),
            version_2(command=0, family=0x11),
            version_2(family=0),
            version_2(family=0x31, extra=bytes(216)),
        )
        for i, header in enumerate(cases):
            with self.subTest(header):
                self.assertEqual(self.send(proxy, header + REQUEST).read_response().status, 200)
                wait_until(lambda n=i: len(proxy.access_log()) > n)
                self.assertTrue(proxy.access_log()[i]["client"].startswith("127.0.0.1:"))

    def test_a_header_that_is_split_at_every_byte_is_accepted(self):
        proxy = self.started()
        for header in (
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n",
            version_2("192.0.2.2", extra=b"\x04\x00\x02ab"),
        ):
            with self.subTest(header), proxy.connect() as client:
                client.send_bytewise(header + REQUEST, pause=0.001)
                self.assertEqual(client.read_response().status, 200)

    def test_a_connection_without_a_well_formed_header_is_closed(self):
        proxy = self.started()
        for data in (
            REQUEST,
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n" + REQUEST,
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80 \r\n" + REQUEST,
            b"PROXY  TCP4 192.0.2.1 198.51.100.1 4711 80\r\n" + REQUEST,
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 65536\r\n" + REQUEST,
            b"PROXY TCP4 192.0.2.1 198.51.100.1 04711 80\r\n" + REQUEST,
            b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 80\r\n" + REQUEST,
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\n" + REQUEST,
            b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n" + REQUEST,
            b"proxy UNKNOWN\r\n" + REQUEST,
            SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12) + REQUEST,
            SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12) + REQUEST,
            SIGNATURE + b"\x21\x41\x00\x0c" + bytes(12) + REQUEST,
            SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11) + REQUEST,
            SIGNATURE + b"\x21\x21\x00\x23" + bytes(35) + REQUEST,
            SIGNATURE + b"\x21\x11\xff\xff" + bytes(65535) + REQUEST,
        ):
            with self.subTest(data[:80]), proxy.connect() as client:
                try:
                    client.send(data)
                except OSError:
                    pass  # closed already
                self.assertIsNone(client.read_response())
        self.assertEqual(proxy.access_log(), [])
        detail = proxy.wait_for_event("proxy_protocol.refused")["detail"]
        self.assertIn("begins with something else", detail)

    def test_a_peer_that_is_not_trusted_is_closed_at_once(self):
        proxy = self.started(trusted_proxies=["192.0.2.0/24"], client={"header_timeout": "60s"})
        with proxy.connect() as silent:
            self.assertIsNone(silent.read_response())
        refused = proxy.wait_for_event("proxy_protocol.refused")
        self.assertIn("not a trusted proxy", refused["detail"])

    def test_a_slow_header_ends_with_header_timeout(self):
        proxy = self.started()
        for data in (b"", b"PROXY ", version_2("192.0.2.1")[:20]):
            with self.subTest(data), proxy.connect() as client:
                begun = time.monotonic()
                for byte in data:
                    client.send(bytes([byte]))
                self.assertIsNone(client.read_response())
                self.assertGreater(time.monotonic() - begun, 0.9)

    def test_a_reload_changes_the_protocol_of_an_address(self):
        proxy = self.started()
        header = b"PROXY UNKNOWN\r\n"
        self.assertEqual(self.send(proxy, header + REQUEST).read_response().status, 200)
        proxy.reload({"listen": ["127.0.0.1:0"]})
        proxy.wait_for_event("reload.done")
        wait_until(lambda: len(proxy.workers()) == 1)
        self.assertEqual(self.send(proxy, REQUEST).read_response().status, 200)

    def test_the_named_client_decides_who_may_set_x_forwarded_host(self):
        up = self.upstream(playlist("#EXTM3U\n#EXTINF:1,\na.ts\n"))
        proxy = self.started(trusted_proxies=["127.0.0.1"])
        request = (
            f"GET {stream_path(up.url('/i.m3u8'))} HTTP/1.1\r\nHost: own.test\r\n"
            "X-Forwarded-Host: other.test\r\nConnection: close\r\n\r\n"
        ).encode()
        for header, host in (
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n", b"http://own.test/"),
            (b"PROXY UNKNOWN\r\n", b"http://other.test/"),
        ):
            self.assertIn(host, self.send(proxy, header + request).read_response().body)


class ProxyProtocolAndTls(ProxyTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamgate-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.chmod(self.folder, 0o755)
        self.authority = Authority(self.folder)
        certificate, key = self.authority.issue_files("IP:127.0.0.1", "first.test")
        self.listen = {
            "address": "127.0.0.1:0",
            "proxy_protocol": True,
            "tls": {"certificate": certificate, "key": key},
        }

    def test_tls_begins_behind_the_header(self):
        proxy = self.own_proxy({"listen": [self.listen]})
        trusting = self.authority.client_context()
        for header in (version_2("192.0.2.1"), b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n"):
            with socket.create_connection((proxy.host, proxy.port), 10) as plain:
                plain.sendall(header)
                with trusting.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
                    secured.sendall(REQUEST)
                    self.assertTrue(secured.recv(4096).startswith(b"HTTP/1.1 200 "))
        wait_until(lambda: len(proxy.access_log()) == 2)
        self.assertEqual({e["client"] for e in proxy.access_log()}, {"192.0.2.1:4711"})

    def test_the_hello_may_arrive_in_one_piece_with_the_header(self):
        proxy = self.own_proxy({"listen": [self.listen]})
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        trusting = self.authority.client_context()
        tls = trusting.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with socket.create_connection((proxy.host, proxy.port), 10) as plain:
            pending = version_2("192.0.2.1")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(pending + outgoing.read())
                    pending = b""
                    incoming.write(plain.recv(65536))
            tls.write(REQUEST)
            plain.sendall(outgoing.read())
            answer = b""
            while not answer:
                incoming.write(plain.recv(65536))
                try:
                    answer = tls.read(4096)
                except ssl.SSLWantReadError:
                    pass
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))


class Relaying(ProxyTest):
    def test_a_stream_behind_the_header_is_relayed(self):
        up = self.upstream(ok(b"x" * 1_000_000))
        proxy = self.own_proxy({"listen": [{"address": "127.0.0.1:0", "proxy_protocol": True}]})
        with proxy.connect() as client:
            client.send(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n")
            client.request(stream_path(up.url("/a.ts")))
            self.assertEqual(client.read_response().body, b"x" * 1_000_000)


if __name__ == "__main__":
    main()
