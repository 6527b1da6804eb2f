"""A small body that inflates and grows to a huge document costs its own client, and nobody else."""

import gzip
import time

from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer

MIB = 1 << 20
LINES = 1_000_000
# About 2,000 bytes: 2 MB of short references, each of which grows to a link of more than 1 KiB.
BOMB = gzip.compress(b"#EXTM3U\n" + b"a\n" * LINES, 9)
REFERER = "http://page.example/" + "r" * 1000
CLIENTS = 40


def bomb():
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: " + str(len(BOMB)).encode() + b"\r\n\r\n"
    )
    return Answer(head + BOMB)


class Bombs(ProxyTest):
    settings = {"workers": 1, "client": {"write_stall_timeout": "120s"}}

    def slowest_health(self, proxy, seconds):
        slowest, end = 0.0, time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.monotonic()
            self.assertEqual(proxy.ask("/health").status, 200)
            slowest = max(slowest, time.monotonic() - begun)
        return slowest

    def test_clients_that_do_not_read_cost_their_bound_and_no_time(self):
        proxy = self.proxy()
        up = self.upstream(bomb())
        proxy.ask("/health")
        before, workers = proxy.resident_bytes(), proxy.workers()
        clients = [proxy.connect(receive_buffer=4096) for _ in range(CLIENTS)]
        for client in clients:
            client.request(stream_path(up.url("/a.m3u8"), referer=REFERER))
        self.assertLess(self.slowest_health(proxy, 2), 2)
        wait_until(lambda: len(up.requests) == CLIENTS, what="all requests")
        # The bound is 256 KiB of output for each, plus the state of its inflater.
        self.assertLess(proxy.resident_bytes() - before, CLIENTS * MIB)
        for client in clients:
            client.close()
        wait_until(lambda: proxy.ask("/health").status == 200)
        self.assertEqual(proxy.workers(), workers)

    def test_a_client_that_reads_lets_the_others_pass(self):
        proxy = self.proxy()
        up = self.upstream(bomb())
        with proxy.connect(timeout=120) as client:
            client.request(stream_path(up.url("/a.m3u8"), referer=REFERER))
            client.read_head()
            for _ in range(50):
                client.receive_more()
                begun = time.monotonic()
                self.assertEqual(proxy.ask("/health").status, 200)
                self.assertLess(time.monotonic() - begun, 2)


if __name__ == "__main__":
    main()
