"""An upstream that breaks in the middle of a body: the client gets every byte that arrived, and an
end that does not look complete."""

from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer

MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096
# Fits the client's side of the sockets, so the proxy takes it before the client reads a byte.
SHORT = BLOCK[: 200 * 1024]
LONG = BLOCK * 3
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % (30 * MIB)
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nTransfer-Encoding: chunked\r\n\r\n"


def cut_answers(body):
    return {
        "length": Answer(LENGTH + body, "close"),
        "chunked": Answer(CHUNKED + b"%x\r\n%s\r\n" % (len(body), body), "close"),
    }


class CutBodies(ProxyTest):
    def read_late(self, up, version="1.1"):
        """A client that reads nothing until the exchange has ended."""
        proxy = self.proxy()
        proxy.mark()
        with proxy.connect(receive_buffer=4096) as client:
            client.request(stream_path(up.url("/a.ts")), version=version)
            entry = proxy.wait_for_access()
            return client.read_response(), entry

    def test_a_client_that_reads_late_gets_everything_that_arrived(self):
        for name, answer in cut_answers(SHORT).items():
            with self.subTest(name):
                response, entry = self.read_late(self.upstream(answer))
                self.assertTrue(response.body == SHORT, len(response.body))
                self.assertEqual((response.complete, response.ended_by), (False, "fin"))
                self.assertEqual(entry["reason"], "truncated_body")
                self.assertEqual(entry["bytes"], str(len(SHORT)))

    def test_more_than_the_socket_buffers_hold_arrives_too(self):
        for name, answer in cut_answers(LONG).items():
            with self.subTest(name), self.proxy().connect(receive_buffer=4096) as client:
                client.request(stream_path(self.upstream(answer).url("/a.ts")))
                response = client.read_response()
                self.assertTrue(response.body == LONG, len(response.body))
                self.assertEqual((response.complete, response.ended_by), (False, "fin"))

    def test_a_body_that_ends_by_close_is_reset_after_the_client_has_it(self):
        answer = cut_answers(SHORT)["chunked"]
        response, entry = self.read_late(self.upstream(answer), version="1.0")
        self.assertTrue(response.body == SHORT, len(response.body))
        self.assertEqual((response.complete, response.ended_by), (False, "reset"))
        self.assertEqual(entry["bytes"], str(len(SHORT)))

    def test_a_client_that_takes_nothing_is_disconnected_by_its_time_limit(self):
        # Long enough to see the connection on a busy machine, before the limit ends it.
        proxy = self.proxy(client={"write_stall_timeout": "2s"})
        up = self.upstream(cut_answers(SHORT)["chunked"])
        with proxy.connect(receive_buffer=4096) as client:
            client.request(stream_path(up.url("/a.ts")), version="1.0")
            proxy.wait_for_access()
            self.assertEqual(self.connections_to(proxy), 1)
            wait_until(
                lambda: self.connections_to(proxy) == 0, what="the client's connection to be reset"
            )

    def connections_to(self, proxy):
        """Open server-side connections of the proxy's port."""
        port = f":{proxy.port:04X}"
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table][1:]
        return sum(row[1].endswith(port) and row[3] == "01" for row in rows)

    def test_a_long_playlist_is_sent_up_to_its_last_complete_line(self):
        line = b"#EXTINF:1,\nseg%06d.ts\n"
        text = b"#EXTM3U\n" + b"".join(line % i for i in range(20_000))
        data = CHUNKED + b"%x\r\n%s" % (len(text) + 100, text + b"#EXTINF:1,\nhalf-a-na")
        up = self.upstream(Answer(data, "close"))
        response = self.proxy().stream(up.url("/i.m3u8"))
        self.assertEqual((response.status, response.complete), (200, False))
        self.assertEqual(response.ended_by, "fin")
        self.assertIn(b"seg019999.ts", response.body)
        self.assertNotIn(b"half-a-na", response.body)

    def test_the_next_request_of_the_connection_is_not_served(self):
        up = self.upstream(cut_answers(SHORT)["chunked"])
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/a.ts")))
            client.request("/health")
            self.assertFalse(client.read_response().complete)
            self.assertIsNone(client.read_response())


class BytesInTheLog(ProxyTest):
    settings = {"client": {"write_stall_timeout": "500ms"}}

    def test_the_access_log_leaves_out_bytes_that_a_reset_discards(self):
        up = self.upstream(Answer(LENGTH + LONG, "stall"))
        proxy = self.proxy()
        with proxy.connect(receive_buffer=4096) as client:
            client.request(stream_path(up.url("/a.ts")))
            entry = proxy.wait_for_access()
            self.assertEqual(entry["reason"], "client_stalled")
            received = len(client.read_to_end()) - 500
        self.assertLess(int(entry["bytes"]), 100_000 + received)


if __name__ == "__main__":
    main()
