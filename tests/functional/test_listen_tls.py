"""TLS listeners: requests, handshakes, close_notify, and the certificate files."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
import unittest
import warnings

from certificates import WithAuthority
from harness import BINARY, ProxyTest, main, stream_path, wait_until, yaml
from upstream import Answer, chunked, ok, playlist

LARGE = bytes(range(256)) * 4096 * 4  # 4 MiB


class TlsTest(WithAuthority, ProxyTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certificate, cls.key = cls.authority.issue_files("IP:127.0.0.1", "first.test")
        cls.trusting = cls.authority.client_context()

    def listen(self, certificate=None, key=None, address="127.0.0.1:0"):
        tls = {"certificate": certificate or self.certificate, "key": key or self.key}
        return {"listen": {"address": address, "tls": tls}}

    def tls_proxy(self, settings=None, **options):
        return self.own_proxy({**self.listen(), **(settings or {})}, tls=self.trusting, **options)

    def copy(self, name, *sources):
        """A new file with the contents of `sources`."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            for source in sources:
                with open(source, "rb") as file:
                    out.write(file.read())
        return path


class Serving(TlsTest):
    def test_bodies_of_every_framing_are_relayed(self):
        up = self.upstream(
            {
                "/length": ok(LARGE),
                "/chunked": chunked(LARGE, size=65_537),
                "/close": Answer(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE, "close"),
                "/empty": ok(b""),
            }
        )
        proxy = self.tls_proxy()
        self.assertEqual(proxy.stream(up.url("/length")).body, LARGE)
        self.assertEqual(proxy.stream(up.url("/close")).body, LARGE)
        self.assertEqual(proxy.stream(up.url("/chunked")).body, LARGE)
        response = proxy.stream(up.url("/empty"))
        self.assertEqual((response.status, response.complete, response.body), (200, True, b""))
        head = proxy.stream(up.url("/length"), method="HEAD")
        self.assertEqual((head.status, head["Content-Length"]), (200, str(len(LARGE))))

    def test_the_end_of_a_complete_answer_is_a_close_notify(self):
        up = self.upstream(Answer(b"HTTP/1.1 200 OK\r\n\r\nbody", "close"))
        response = self.tls_proxy().stream(up.url(), version="1.0")
        self.assertEqual(
            (response.body, response.complete, response.ended_by), (b"body", True, "fin")
        )

    def test_a_range_is_forwarded(self):
        def answer(request):
            self.assertEqual(request["Range"], "bytes=2-4")
            return Answer(
                b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/10\r\n"
                b"Content-Length: 3\r\n\r\n234"
            )

        up = self.upstream(answer)
        response = self.tls_proxy().stream(up.url("/a.ts"), {"Range": "bytes=2-4"})
        self.assertEqual((response.status, response.body), (206, b"234"))

    def test_children_of_a_playlist_have_https_urls(self):
        up = self.upstream(playlist("#EXTM3U\n#EXTINF:4,\nsegment.ts\n"))
        proxy = self.tls_proxy()
        self.assertIn(f"\n{proxy.origin}/stream?url=", proxy.stream(up.url("/a.m3u8")).text)
        response = proxy.stream(up.url("/a.m3u8"), {"X-Forwarded-Proto": "http"})
        self.assertIn(f"\nhttp://{proxy.host}:{proxy.port}/stream?url=", response.text)

    def test_kept_connections_and_pipelined_requests_are_served(self):
        up = self.upstream(lambda request: ok(request.path.encode()))
        with self.tls_proxy().connect() as client:
            for i in range(3):
                client.request(stream_path(up.url(f"/{i}")))
                self.assertEqual(client.read_response().body, f"/{i}".encode())
            request = "GET {} HTTP/1.1\r\nHost: x\r\n\r\n"
            client.send(
                b"".join(request.format(stream_path(up.url(f"/{i}"))).encode() for i in range(5))
            )
            for i in range(5):
                self.assertEqual(client.read_response().body, f"/{i}".encode())

    def test_a_request_may_arrive_byte_by_byte(self):
        up = self.upstream(ok(b"body"))
        with self.tls_proxy().connect() as client:
            client.send_bytewise(
                f"GET {stream_path(up.url())} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
            self.assertEqual(client.read_response().body, b"body")

    def test_a_refused_request_is_answered_and_the_connection_ends_with_close_notify(self):
        with self.tls_proxy().connect() as client:
            client.send(b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
            self.assertEqual(client.read_response().status, 405)
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))

    def test_a_plain_and_a_tls_listener_serve_together(self):
        listen = [self.listen()["listen"], "127.0.0.1:0"]
        proxy = self.own_proxy({"listen": listen}, tls=self.trusting)
        self.assertEqual(proxy.ask("/health").status, 200)
        bound = [e["address"] for e in proxy.events_named("listener.bound")]
        proxy.port, proxy.tls = int(bound[1].rpartition(":")[2]), None
        self.assertEqual(proxy.ask("/health").status, 200)


class Handshakes(TlsTest):
    def test_tls_1_2_and_1_3_with_http_1_1_are_accepted_and_others_refused(self):
        proxy = self.tls_proxy()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.authority.client_context()
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            with proxy.connect(tls=context) as client:
                self.assertEqual(client.socket.selected_alpn_protocol(), "http/1.1")
                self.assertIsNone(client.socket.compression())
                client.request("/health")
                self.assertEqual(client.read_response().status, 200)
        context = self.authority.client_context()
        context.set_alpn_protocols(["h2"])
        with self.assertRaises(ssl.SSLError):
            proxy.connect(tls=context)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            proxy.connect(tls=context)

    def test_a_session_is_resumed_by_any_worker(self):
        proxy = self.tls_proxy({"workers": 2})
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.authority.client_context()
            context.minimum_version = context.maximum_version = version
            session = None
            for i in range(12):
                with proxy.connect(tls=context, session=session) as client:
                    client.request("/health")
                    self.assertEqual(client.read_response().status, 200)
                    self.assertEqual(client.socket.session_reused, i > 0)
                    session = client.socket.session

    def test_a_slow_handshake_is_cut(self):
        proxy = self.tls_proxy({"client": {"header_timeout": "300ms"}})
        started = time.monotonic()
        with proxy.connect(tls=None) as silent, proxy.connect(tls=None) as slow:
            slow.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            for client in (silent, slow):
                self.assertEqual(client.read_to_end(), b"")
        self.assertLess(time.monotonic() - started, 5)

    def test_a_client_silent_after_the_handshake_gets_close_notify(self):
        proxy = self.tls_proxy({"client": {"header_timeout": "300ms"}})
        with proxy.connect() as client:
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))

    def test_plain_http_is_answered_with_400(self):
        proxy = self.tls_proxy()
        for method in ("GET", "POST", "HEAD", "CONNECT"):
            with proxy.connect(tls=None) as client:
                client.send(f"{method} /health HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                response = client.read_response()
                self.assert_error(response, 400, "bad_request")
                self.assertIn("plain HTTP request was sent to an HTTPS port", response.text)
                self.assertEqual(client.read_to_end(), b"")
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_a_handshake_larger_than_the_socket_buffer_completes(self):
        names = [f"name-{i}.of-a-rather-long-domain.test" for i in range(1500)]
        proxy = self.own_proxy(
            self.listen(*self.authority.issue_files("IP:127.0.0.1", *names)), tls=self.trusting
        )
        with proxy.connect(receive_buffer=2048) as client:
            client.request("/health")
            self.assertEqual(client.read_response().status, 200)

    def test_bytes_that_are_not_tls_do_not_harm_the_worker(self):
        proxy = self.tls_proxy()
        workers = wait_until(proxy.workers)
        for noise in (b"\0" * 100, b"\xff" * 5000, b"\x16\x03\x03\xff\xff" + b"a" * 70_000):
            with proxy.connect(tls=None) as client:
                try:
                    client.send(noise)
                    client.read_to_end()
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the proxy closed first
        self.assertEqual(proxy.ask("/health").status, 200)
        self.assertEqual(proxy.workers(), workers)


class Ends(TlsTest):
    def test_a_cut_body_is_sent_up_to_the_cut(self):
        for answer, version, notified in (
            (Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", "close"), "1.0", True),
            (Answer(b"HTTP/1.1 200 OK\r\n\r\nhalf", "reset", pause=0.2), "1.1", True),
            # A close_notify would complete a body that ends by close.
            (chunked(b"half", last=False).after("close"), "1.0", False),
        ):
            response = self.tls_proxy().stream(self.upstream(answer).url("/a.ts"), version=version)
            self.assertEqual((response.body, response.complete), (b"half", False), response)
            self.assertEqual(response.ended_by == "fin", notified, response)

    def test_a_stalled_client_is_cut_and_a_slow_one_gets_the_whole_body(self):
        up = self.upstream(ok(LARGE * 4))
        proxy = self.tls_proxy({"client": {"write_stall_timeout": "1s"}})
        with proxy.connect(receive_buffer=4096) as client:
            client.request(stream_path(up.url("/a.ts")))
            self.assertEqual(proxy.wait_for_access()["reason"], "client_stalled")
        proxy.mark()
        with proxy.connect(receive_buffer=4096) as client:
            client.request(stream_path(up.url("/a.ts")))
            time.sleep(0.5)  # the relay fills every buffer and pauses
            self.assertEqual(client.read_response().body, LARGE * 4)

    def test_a_client_that_leaves_ends_its_exchange(self):
        up = self.upstream(Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "stall"))
        proxy = self.tls_proxy()
        for leave in ("close", "reset"):
            proxy.mark()
            client = proxy.connect()
            client.request(stream_path(up.url("/a.ts")))
            client.read_head()
            getattr(client, leave)()
            self.assertEqual(proxy.wait_for_access()["reason"], "client_gone")

    def test_a_stop_ends_idle_connections_with_close_notify(self):
        proxy = self.tls_proxy()
        with proxy.connect() as client:
            client.request("/health")
            client.read_response()
            proxy.send_signal(signal.SIGTERM)
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))


class Files(TlsTest):
    def check(self, **tls):
        path = os.path.join(self.folder, "check.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(yaml({**self.listen(**tls), "user": "root"}))
        done = subprocess.run(
            [BINARY, "--check", "-c", path], capture_output=True, text=True, timeout=30, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def faults(self):
        """Wrong settings, each with the file and the words that the error must have."""
        _, other_key = self.authority.issue_files("other.test")
        garbage = os.path.join(self.folder, "garbage.pem")
        with open(garbage, "w", encoding="ascii") as file:
            file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        encrypted = os.path.join(self.folder, "encrypted.key")
        subprocess.run(
            [
                "openssl",
                "pkey",
                "-in",
                self.key,
                "-aes128",
                "-passout",
                "pass:x",
                "-out",
                encrypted,
            ],
            check=True,
        )
        missing = os.path.join(self.folder, "missing.pem")
        damaged = self.copy("damaged.pem", self.certificate, garbage)
        return [
            ({"certificate": missing}, missing, "No such file"),
            ({"key": self.folder}, self.folder, "not a regular file"),
            ({"certificate": garbage}, garbage, "certificate"),
            ({"certificate": self.key}, self.key, "holds no certificate"),
            ({"certificate": damaged}, damaged, "chain"),
            ({"key": self.certificate}, self.certificate, "private key"),
            ({"key": encrypted}, encrypted, "encrypted"),
            ({"key": other_key}, other_key, "is not the key of " + self.certificate),
        ]

    def test_check_names_the_file_and_the_reason(self):
        self.assertEqual(self.check(), (0, "the configuration is valid\n"))
        for tls, file, words in self.faults():
            code, text = self.check(**tls)
            self.assertNotEqual(code, 0)
            self.assertIn(file, text)
            self.assertIn(words, text)

    def test_a_chain_is_sent_and_a_single_file_may_hold_all(self):
        both = self.copy("both.pem", self.key, self.certificate, self.authority.certificate)
        proxy = self.own_proxy(self.listen(certificate=both, key=both), tls=self.trusting)
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{proxy.host}:{proxy.port}", "-showcerts"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual(done.stdout.count("BEGIN CERTIFICATE"), 2)

    def test_a_reload_loads_new_certificates_while_a_stream_goes_on(self):
        certificate, key = self.copy("live.pem", self.certificate), self.copy("live.key", self.key)
        renewed = threading.Event()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
        up = self.upstream({"/slow": Answer(head, wait=renewed, body=lambda: [b"rest"])})
        proxy = self.own_proxy(self.listen(certificate, key), tls=self.trusting)
        address = f"127.0.0.1:{proxy.port}"
        names = lambda client: [v for k, v in client.socket.getpeercert()["subjectAltName"]]
        with proxy.connect() as old:
            self.assertIn("first.test", names(old))
            old.request(stream_path(up.url("/slow")))
            wait_until(lambda: old.receive_more() and b"half" in old.pending)
            second = self.authority.issue_files("IP:127.0.0.1", "second.test")
            shutil.copy(second[0], certificate)
            shutil.copy(second[1], key)
            proxy.reload({})
            proxy.wait_for_event("reload.done")
            with proxy.connect() as new:
                self.assertIn("second.test", names(new))
                new.request("/health")
                self.assertEqual(new.read_response().status, 200)
            self.assertEqual(len(proxy.events_named("listener.bound")), 1, address)
            renewed.set()
            self.assertEqual(old.read_response().body, b"halfrest")

    def test_a_reload_with_wrong_files_fails_and_the_old_ones_stay(self):
        proxy = self.tls_proxy()
        for tls, file, words in self.faults():
            seen = len(proxy.events_named("reload.failed"))
            proxy.reload(self.listen(**tls))
            wait_until(lambda: len(proxy.events_named("reload.failed")) > seen)
            reason = proxy.events_named("reload.failed")[-1]["reason"]
            self.assertIn(file, reason)
            self.assertIn(words, reason)
            self.assertEqual(proxy.ask("/health").status, 200)
        with open(self.key, encoding="ascii") as file:
            secret = file.read().split("\n")[1]
        self.assertNotIn(secret, proxy.log())

    def test_a_start_with_a_wrong_key_fails_and_names_the_key(self):
        path = os.path.join(self.folder, "start.yaml")
        _, other_key = self.authority.issue_files("another.test")
        with open(path, "w", encoding="utf-8") as file:
            file.write(yaml({**self.listen(key=other_key), "workers": 1, "user": "root"}))
        done = subprocess.run(
            [BINARY, "-c", path], capture_output=True, text=True, timeout=30, check=False
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(other_key + ": is not the key of", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_a_key_readable_by_root_only_works_with_workers_of_another_user(self):
        key = self.copy("root.key", self.key)
        os.chmod(key, 0o600)
        proxy = self.own_proxy(
            {**self.listen(key=key), "user": "nobody"},
            tls=self.trusting,
            environment={"ASAN_OPTIONS": "detect_leaks=0"},
        )
        self.assertEqual(proxy.ask("/health").status, 200)
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_print_config_prints_the_paths_and_not_the_files(self):
        path = os.path.join(self.folder, "print.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(yaml(self.listen()))
        done = subprocess.run(
            [BINARY, "--print-config", "-c", path],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        self.assertIn(self.key, done.stdout)
        self.assertNotIn("BEGIN", done.stdout)
        self.assertNotIn("BEGIN", json.dumps(done.stderr))


class LargeAnswers(TlsTest):
    def test_chunks_of_any_size_arrive_in_order(self):
        sizes = (1999, 2000, 16383, 16384, 16385, 40_000, 100_000)
        body = LARGE[:500_000]
        up = self.upstream({f"/{size}": chunked(body, size=size) for size in sizes})
        proxy = self.tls_proxy()
        for size in sizes:
            for buffer in (None, 2048):
                with proxy.connect(receive_buffer=buffer) as client:
                    client.request(stream_path(up.url(f"/{size}")))
                    self.assertEqual(client.read_response().body, body)


if __name__ == "__main__":
    main()
