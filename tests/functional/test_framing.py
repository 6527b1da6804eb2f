"""HTTP on the client's side: body framing, kept connections, refused requests."""

import socket
import threading
import time

from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer, chunked, ok

BODY = bytes(range(256)) * 600  # more than one read on both sides


class Bodies(ProxyTest):
    def answers(self):
        return {
            "length": ok(BODY),
            "chunked": chunked(BODY, size=1000),
            "close": b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + BODY,
            "http/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
            "bytewise head": Answer(ok(BODY[:300]).data, piece=1),
        }

    def test_every_upstream_framing_reaches_every_kind_of_client(self):
        for name, answer in self.answers().items():
            for version in ("1.1", "1.0"):
                with self.subTest(upstream=name, client=version):
                    up = self.upstream(answer)
                    response = self.proxy().stream(up.url("/a.ts"), version=version)
                    self.assertEqual(response.body, BODY[:300] if name == "bytewise head" else BODY)
                    self.assertTrue(response.complete)
                    self.assertIsNone(response["Transfer-Encoding"] if version == "1.0" else None)

    def test_a_known_length_is_passed_on(self):
        for name in ("length", "http/1.0"):
            response = self.proxy().stream(self.upstream(self.answers()[name]).url("/a.ts"))
            self.assertEqual(response["Content-Length"], str(len(BODY)))

    def test_trailers_and_chunk_extensions_are_not_forwarded(self):
        up = self.upstream(
            Answer(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
            )
        )
        response = self.proxy().stream(up.url("/a"))
        self.assertEqual((response.body, response.complete), (b"hello", True))

    def test_interim_answers_are_not_forwarded(self):
        up = self.upstream(
            Answer(
                b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + ok(b"hello").data
            )
        )
        with self.proxy().connect() as client:
            client.request(stream_path(up.url()))
            while b"\r\n\r\n" not in client.pending:
                self.assertTrue(client.receive_more())
            self.assertTrue(client.pending.startswith(b"HTTP/1.1 200"), client.pending)

    def test_surplus_bytes_never_reach_the_client_and_close_the_upstream_connection(self):
        up = self.upstream(
            [Answer(ok(b"hello").data + b"HTTP/1.1 200 OK\r\n\r\nsurplus"), ok(b"second")]
        )
        proxy = self.proxy()
        with proxy.connect() as client:
            for expected in (b"hello", b"second"):
                client.request(stream_path(up.url("/" + expected.decode())))
                self.assertEqual(client.read_response().body, expected)
        self.assertEqual([request.connection for request in up.requests], [0, 1])

    def test_a_body_begins_before_the_upstream_has_finished(self):
        gate = threading.Event()
        up = self.upstream(
            Answer(
                b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst",
                body=lambda: [b"later"],
                wait=gate,
            )
        )
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/a.ts")))
            head = client.read_head()
            self.assertEqual(head.status, 200)
            while client.pending != b"first":
                self.assertTrue(client.receive_more())
            gate.set()
            while client.pending != b"firstlater":
                self.assertTrue(client.receive_more())

    def test_small_chunks_of_one_read_are_sent_together(self):
        up = self.upstream(chunked(BODY[:20_000], size=3))
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/a.bin")), {"Connection": "close"})
            client.read_head()
            raw = client.read_to_end()
        chunks, body = 0, b""
        while raw:
            size, raw = raw.split(b"\r\n", 1)
            body, raw = body + raw[: int(size, 16)], raw[int(size, 16) + 2 :]
            chunks += 1
        self.assertEqual(body, BODY[:20_000])
        self.assertLess(chunks, 100)  # of 6668 received

    def test_small_chunks_are_forwarded_before_the_body_ends(self):
        gate = threading.Event()
        last = lambda: [b"3\r\nend\r\n0\r\n\r\n"]
        head = chunked(b"begin", size=2, last=False).data
        up = self.upstream(Answer(head, body=last, wait=gate))
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/a.bin")))
            wait_until(lambda: client.receive_more() and b"begin" in client.pending)
            gate.set()
            self.assertEqual(client.read_response().body, b"beginend")


class Connections(ProxyTest):
    def test_a_client_s_connection_is_kept(self):
        up = self.upstream(
            {"/a": ok(b"one"), "/b": chunked(b"two"), "/c": b"HTTP/1.0 200 OK\r\n\r\nthree"}
        )
        with self.proxy().connect() as client:
            for path, body in (("/a", b"one"), ("/b", b"two"), ("/c", b"three"), ("/a", b"one")):
                client.request(stream_path(up.url(path)))
                response = client.read_response()
                self.assertEqual((response.body, response.complete), (body, True))

    def test_connection_close_closes_the_connection(self):
        up = self.upstream(ok(b"one"))
        with self.proxy().connect() as client:
            client.request(stream_path(up.url()), {"Connection": "close"})
            response = client.read_response()
            self.assertEqual(response["Connection"].lower(), "close")
            self.assertEqual(client.read_to_end(), b"")
            self.assertEqual(client.end, "fin")

    def test_an_http_1_0_connection_is_closed_unless_it_asks_for_keep_alive(self):
        up = self.upstream(ok(b"one"))
        with self.proxy().connect() as client:
            client.request(stream_path(up.url()), version="1.0")
            self.assertEqual(client.read_response().body, b"one")
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))
        with self.proxy().connect() as client:
            for _ in range(2):
                client.request(stream_path(up.url()), {"Connection": "keep-alive"}, version="1.0")
                response = client.read_response()
                self.assertEqual(
                    (response.body, response["Connection"].lower()), (b"one", "keep-alive")
                )

    def test_an_error_to_an_http_1_0_client_closes_its_connection(self):
        with self.proxy().connect() as client:
            client.request("/nothing", {"Connection": "keep-alive"}, version="1.0")
            response = client.read_response()
            self.assertEqual((response.status, response["Connection"]), (404, "close"))
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))

    def test_upstream_connections_are_used_again(self):
        up = self.upstream(ok(b"one"))
        for _ in range(4):
            self.proxy().stream(up.url())
        self.assertEqual((len(up.requests), up.connections), (4, 1))

    def test_pipelined_requests_are_answered_in_order(self):
        up = self.upstream(
            lambda r: Answer(ok(r.path.encode()).data, delay=0.05 if r.path == "/0" else 0)
        )
        with self.proxy().connect() as client:
            client.send(
                b"".join(
                    f"GET {stream_path(up.url(f'/{i}'))} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
                    for i in range(12)
                )
            )
            for i in range(12):
                self.assertEqual(client.read_response().body, f"/{i}".encode())

    def test_a_flood_of_pipelined_requests_is_not_kept_in_memory(self):
        proxy = self.proxy()
        proxy.ask("/health")
        before = proxy.resident_bytes()
        flood = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 300_000
        with proxy.connect() as client:

            def send():
                try:
                    client.socket.sendall(flood)
                except OSError:
                    pass  # the test closed the connection

            sender = threading.Thread(target=send)
            sender.start()
            for _ in range(1000):
                self.assertEqual(client.read_response().status, 200)
            self.assertLess(proxy.resident_bytes() - before, 16 << 20)
            client.socket.shutdown(socket.SHUT_RDWR)
            sender.join()

    def test_a_request_pipelined_behind_a_stream_waits_for_its_end(self):
        gate = threading.Event()
        up = self.upstream(
            {
                "/a": Answer(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab",
                    body=lambda: [b"cd"],
                    wait=gate,
                ),
                "/b": ok(b"next"),
            }
        )
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/a")))
            client.read_head()
            client.request(stream_path(up.url("/b")))
            gate.set()
            wait_until(lambda: client.receive_more() and b"next" in client.pending)
            self.assertTrue(client.pending.startswith(b"abcdHTTP/1.1 200"))

    def test_a_request_may_arrive_byte_by_byte_or_split_at_any_offset(self):
        up = self.upstream(lambda r: ok(r.target.encode()))
        path = stream_path(up.url("/some/path?x=%20y"))
        head = f"GET {path} HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n".encode()
        proxy = self.proxy()
        with proxy.connect() as client:
            client.send_bytewise(head)
            self.assertEqual(client.read_response().body, b"/some/path?x=%20y")
            for offset in range(1, len(head)):
                client.send(head[:offset])
                # Lets the first part arrive alone. The outcome does not depend on it.
                time.sleep(0.001)
                client.send(head[offset:])
                self.assertEqual(client.read_response().body, b"/some/path?x=%20y", offset)

    def test_an_empty_line_before_a_request_is_ignored(self):
        with self.proxy().connect() as client:
            client.send(b"\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)


class Refusals(ProxyTest):
    settings = {"client": {"header_timeout": "1s", "keepalive_timeout": "1s"}}

    def refused(self, data, status, reason=None):
        with self.proxy().connect() as client:
            client.send(data)
            response = client.read_response()
            self.assertIsNotNone(response, data[:80])
            self.assertEqual(response.status, status, (data[:80], response))
            if reason:
                self.assertEqual(response["X-Streamgate-Error"], reason)
            self.assertEqual(response["Access-Control-Allow-Origin"], "*")
            # A lingering close: the answer arrives although the request was not read to its end.
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"), data[:80])

    def test_malformed_heads_are_a_400(self):
        for head in (
            b"GET\r\n\r\n",
            b"GET /health\r\n\r\n",
            b"GET /health HTTP/1.1\r\n\r\n",
            b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
            b"GET health HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ):
            with self.subTest(head):
                self.refused(head, 400, "bad_request")

    def test_unsupported_methods_versions_bodies_and_expectations_are_refused(self):
        self.refused(b"POST /health HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed")
        self.refused(b"DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed")
        self.refused(b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 505, "version_not_supported")
        self.refused(
            b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            413,
            "body_not_accepted",
        )
        self.refused(
            b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n", 417, "expectation_failed"
        )

    def test_a_smuggled_second_request_is_never_answered(self):
        inner = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        for framing, status in (
            (b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % len(inner), 400),
            (b"Content-Length: 1, 2\r\n", 400),
            (b"Content-Length: 3\r\nContent-Length: 4\r\n", 400),
            (b"Transfer-Encoding: xchunked\r\n", 501),
            (b"Content-Length: +1\r\n", 400),
        ):
            with self.proxy().connect() as client:
                client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n" + inner)
                response = client.read_response()
                self.assertEqual(response.status, status, framing)
                self.assertEqual(client.read_to_end(), b"", framing)

    def test_too_long_request_lines_and_heads_are_refused(self):
        self.refused(
            b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"
        )
        self.refused(b"GET /" + b"a" * 40_000, 414, "uri_too_long")
        self.refused(
            b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 33_000 + b"\r\n\r\n",
            431,
            "header_too_large",
        )
        self.refused(
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 120 + b"\r\n", 431, "header_too_large"
        )

    def test_long_targets_within_the_limit_are_served(self):
        up = self.upstream(ok(b"x"))
        long = up.url("/" + "a" * 7_900)
        self.assertEqual(self.proxy().stream(long).status, 200)
        self.assertEqual(len(up.requests[0].target), 7_901)

    def test_an_incomplete_head_is_a_408_at_the_deadline(self):
        started = time.monotonic()
        with self.proxy().connect() as client:
            client.send(b"GET /health HTTP/1.1\r\nHo")
            # Progress does not move the deadline.
            client.send_bytewise(b"st: x\r\nA: bbbb", pause=0.02)
            self.assertEqual(client.read_response().status, 408)
            self.assertLess(time.monotonic() - started, 4)
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))

    def test_an_idle_connection_is_closed_without_an_answer(self):
        with self.proxy().connect() as client:
            client.request("/health")
            client.read_response()
            self.assertEqual((client.read_to_end(), client.end), (b"", "fin"))


if __name__ == "__main__":
    main()
