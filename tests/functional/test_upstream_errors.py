"""Failures of an upstream: an error answer before the head is sent, a broken connection after."""

import time

from harness import ProxyTest, closed_port, main, stream_path, wait_until
from upstream import Answer, chunked, ok, playlist


class BeforeTheHead(ProxyTest):
    def test_a_closed_port_is_connect_failed(self):
        proxy = self.proxy()
        self.assert_error(proxy.stream(f"http://127.0.0.1:{closed_port()}/"), 502, "connect_failed")
        self.assertEqual(proxy.wait_for_access()["reason"], "connect_failed")

    def test_an_unknown_name_is_dns_failed(self):
        self.assert_error(self.proxy().stream("http://no-such-host.invalid/"), 502, "dns_failed")

    def test_an_end_before_the_complete_head_is_a_bad_response(self):
        for data in (b"", b"HTTP/1.1 200 OK\r\nContent-"):
            for then in ("reset", "close"):
                with self.subTest(data=data, then=then):
                    up = self.upstream(Answer(data, then))
                    self.assert_error(self.proxy().stream(up.url()), 502, "bad_response")

    def test_answers_that_are_not_http_are_a_bad_response(self):
        heads = (
            b"hello\r\n\r\n",
            b"HTTP/22 200 OK\r\n\r\n",
            b"HTTP/1.1 99 X\r\n\r\n",
            b"HTTP/1.1 1000 X\r\n\r\n",
            b"ICY 20 OK\r\n\r\n",
            b"HTTP/1.1 20 X\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9000 + b"\r\n",
        )
        for head in heads:
            with self.subTest(head[:70]):
                self.assert_error(
                    self.proxy().stream(self.upstream(head).url()), 502, "bad_response"
                )


class AfterTheHead(ProxyTest):
    """A cut stream never ends like a complete one."""

    def assert_broken(self, answer, version="1.1", reason="truncated_body"):
        proxy = self.proxy()
        up = self.upstream(answer)
        response = proxy.stream(up.url("/a.ts"), version=version)
        self.assertEqual(response.status, 200, response)
        self.assertFalse(response.complete, response)
        # Only a body that ends by close needs a reset.
        framed = response["Transfer-Encoding"] or response["Content-Length"]
        self.assertEqual(response.ended_by, "fin" if framed else "reset", response)
        self.assertEqual(proxy.wait_for_access()["reason"], reason)

    def test_a_cut_body_of_known_length_ends_the_client_connection(self):
        for then in ("close", "reset"):
            for version in ("1.1", "1.0"):
                with self.subTest(then=then, version=version):
                    self.assert_broken(
                        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then), version
                    )

    def test_cut_or_malformed_chunks_end_the_client_connection(self):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for tail, reason in (
            (b"5\r\nhello\r\n", "truncated_body"),
            (b"5\r\nhel", "truncated_body"),
            (b"5\r\nhello\r\n0\r\n", "truncated_body"),
            (b"5\r\nhello\r\nzz\r\n", "bad_response"),
            (b"5\r\nhelloworld\r\n0\r\n\r\n", "bad_response"),
        ):
            for version in ("1.1", "1.0"):
                with self.subTest(tail=tail, version=version):
                    self.assert_broken(Answer(head + tail, "close"), version, reason)

    def test_a_reset_of_a_close_delimited_body_breaks_the_client_connection(self):
        for version in ("1.1", "1.0"):
            self.assert_broken(
                Answer(
                    b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + b"x" * 5000,
                    "reset",
                    pause=0.2,
                ),
                version,
            )

    def test_a_cut_playlist_is_never_a_complete_answer(self):
        text = b"#EXTM3U\n" + b"#EXTINF:1,\nseg.ts\n" * 500
        data = playlist(text).data
        up = self.upstream(Answer(data[: len(data) // 2], "close"))
        response = self.proxy().stream(up.url("/i.m3u8"))
        self.assertTrue(response.status == 502 or not response.complete, response)

    def test_the_connection_of_a_cut_stream_is_not_reused(self):
        up = self.upstream([chunked(b"hello", last=False).after("close"), ok(b"second")])
        self.proxy().stream(up.url("/a"))
        self.assertEqual(self.proxy().stream(up.url("/b")).body, b"second")


class Deadlines(ProxyTest):
    settings = {
        "upstream": {
            "first_byte_timeout": "500ms",
            "idle_timeout": "500ms",
            "connect_timeout": "1s",
        }
    }

    def test_no_answer_in_time_is_a_504(self):
        for data in (b"", b"HTTP/1.1 200 OK\r\n"):
            up = self.upstream(Answer(data, "stall"))
            self.assert_error(self.proxy().stream(up.url()), 504, "first_byte_timeout")
            wait_until(
                lambda: up.answers[0].closed.is_set(), what="the upstream's connection to be closed"
            )

    def test_a_body_idle_for_idle_timeout_is_cut(self):
        proxy = self.proxy()
        up = self.upstream(Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "stall"))
        started = time.monotonic()
        response = proxy.stream(up.url())
        self.assertEqual(
            (response.body, response.complete, response.ended_by), (b"half", False, "fin")
        )
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(proxy.wait_for_access()["reason"], "idle_timeout")

    def test_a_slow_body_is_not_cut(self):
        up = self.upstream(
            Answer(ok(b"0123456789").data[:-10], body=lambda: self.drip(), then="keep")
        )
        self.assertEqual(self.proxy().stream(up.url()).body, b"0123456789")

    @staticmethod
    def drip():
        for digit in b"0123456789":
            time.sleep(0.15)
            yield bytes([digit])


class TheClientLeaves(ProxyTest):
    def leave(self, how, answer, head_first=True):
        proxy = self.proxy()
        up = self.upstream(answer)
        client = proxy.connect()
        client.request(stream_path(up.url("/a.ts")))
        if head_first:
            client.read_head()
        else:
            wait_until(lambda: up.requests)
        getattr(client, how)()
        wait_until(lambda: up.answers[0].closed.is_set(), 3, "the upstream to be cancelled")
        self.assertEqual(proxy.wait_for_access()["reason"], "client_gone")

    def test_a_client_that_leaves_inside_the_body_cancels_the_upstream(self):
        for how in ("close", "reset"):
            self.leave(how, Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "stall"))

    def test_a_client_that_leaves_before_the_head_cancels_the_upstream(self):
        for how in ("close", "reset"):
            self.leave(how, Answer(b"", "stall"), head_first=False)


class StaleConnections(ProxyTest):
    def test_a_dead_pooled_connection_is_replaced(self):
        for then in ("close", "reset"):
            up = self.upstream(lambda r: ok(b"fresh"))
            proxy = self.proxy()
            self.assertEqual(proxy.stream(up.url("/a")).body, b"fresh")
            # The upstream reads the second request on the kept connection and sends nothing.
            up.script = (
                lambda r: Answer(b"", then) if r.connection == 0 else ok(b"fresh")
            )  # pylint: disable=cell-var-from-loop
            self.assertEqual(proxy.stream(up.url("/b")).body, b"fresh", then)
            self.assertEqual([request.connection for request in up.requests], [0, 0, 1])

    def test_a_pooled_connection_closed_while_idle_is_replaced(self):
        up = self.upstream(lambda r: ok(b"fresh").after("close"))
        for _ in range(3):
            self.assertEqual(self.proxy().stream(up.url("/a")).body, b"fresh")
        self.assertEqual([request.connection for request in up.requests], [0, 1, 2])

    def test_a_fresh_connection_that_dies_is_not_retried(self):
        up = self.upstream(Answer(b"", "close"))
        self.assertEqual(self.proxy().stream(up.url("/a")).status, 502)
        self.assertEqual(len(up.requests), 1)


if __name__ == "__main__":
    main()
