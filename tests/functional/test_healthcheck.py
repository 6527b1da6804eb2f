"""`streamgate healthcheck`, which container runtimes run beside the service."""

import os
import shutil
import socket
import tempfile
import threading

from certificates import Authority
from harness import ProxyTest, closed_port, main, streamgate, yaml


class Healthcheck(ProxyTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamgate-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def check(self, listen):
        path = os.path.join(self.folder, "streamgate.yaml")
        with open(path, "w", encoding="ascii") as file:
            file.write(yaml({"listen": listen}))
        return streamgate("healthcheck", "-c", path)

    def assert_healthy(self, done, origin):
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", origin + " serves\n"))

    def test_a_wildcard_address_is_asked_on_loopback(self):
        proxy = self.proxy()
        self.assert_healthy(self.check(f"0.0.0.0:{proxy.port}"), proxy.origin)
        self.assertEqual(proxy.wait_for_access()["route"], "/health")

    def test_the_plain_listener_is_asked_first(self):
        proxy = self.proxy()
        tls = {"certificate": "/none.pem", "key": "/none.pem"}
        dead = {"address": f"127.0.0.1:{closed_port()}", "tls": tls}
        self.assert_healthy(self.check([dead, f"127.0.0.1:{proxy.port}"]), proxy.origin)

    def test_a_unix_socket_is_asked(self):
        address = "unix:" + os.path.join(self.folder, "socket")
        self.own_proxy({"listen": ["127.0.0.1:0", address]})
        self.assert_healthy(self.check(address), address)

    def test_an_untrusted_certificate_is_enough(self):
        authority = Authority(self.folder)
        certificate, key = authority.issue_files("DNS:media.test", "media.test")
        tls = {"certificate": certificate, "key": key}
        listen = {"address": "127.0.0.1:0", "tls": tls}
        proxy = self.own_proxy({"listen": listen}, tls=authority.client_context())
        bound = {**listen, "address": f"127.0.0.1:{proxy.port}"}
        self.assert_healthy(self.check(bound), proxy.origin)

    def test_a_listener_with_the_proxy_protocol_is_asked_with_its_header(self):
        listen = {"address": "127.0.0.1:0", "proxy_protocol": True}
        proxy = self.own_proxy({"listen": listen, "trusted_proxies": ["127.0.0.1"]})
        bound = {**listen, "address": f"127.0.0.1:{proxy.port}"}
        self.assert_healthy(self.check(bound), proxy.origin)

    def test_a_service_that_does_not_run_is_not_healthy(self):
        done = self.check(f"127.0.0.1:{closed_port()}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Connection refused", done.stderr)

    def test_another_status_is_not_healthy(self):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve():
                with server.accept()[0] as connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")

            thread = threading.Thread(target=serve)
            thread.start()
            done = self.check(f"127.0.0.1:{server.getsockname()[1]}")
            thread.join()
        self.assertEqual(done.returncode, 1)
        self.assertIn("answered 503", done.stderr)

    def test_an_invalid_configuration_is_not_healthy(self):
        done = self.check("nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("listen", done.stderr)


if __name__ == "__main__":
    main()
