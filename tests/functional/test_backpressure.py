"""A client that stops reading stops its upstream, and memory stays bounded."""

import socket
import time

from harness import ProxyTest, main, stream_path, wait_until, wait_until_stopped
from upstream import Answer, playlist

MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096


class Backpressure(ProxyTest):
    # 1 GiB is more than all socket buffers hold.
    total = 1024 * MIB
    settings = {"client": {"write_stall_timeout": "120s"}, "upstream": {"idle_timeout": "120s"}}
    most_queued = 1.5 * MIB  # for a client, in the sockets of both sides

    def endless(self, framing=None):
        def blocks():
            for _ in range(self.total // len(BLOCK)):
                yield BLOCK

        head = f"Content-Length: {self.total}\r\n" if framing is None else framing
        return Answer(
            f"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n{head}\r\n".encode(),
            body=blocks,
            then="close",
        )

    def test_a_client_that_pauses_stops_the_upstream_and_later_gets_the_whole_body(self):
        proxy = self.proxy()
        up = self.upstream(self.endless())
        proxy.ask("/health")
        before = proxy.resident_bytes()
        with proxy.connect(receive_buffer=64 * 1024, timeout=60) as client:
            client.request(stream_path(up.url("/a.ts")))
            client.read_head()
            sent = wait_until_stopped(up.answers[0])
            self.assertLess(sent, 64 * MIB)
            self.assertLess(proxy.resident_bytes() - before, 16 * MIB)
            self.assertEqual(self.read_all(client), self.total)
        entry = proxy.wait_for_access(2)  # the first is the request to /health
        self.assertEqual((entry["bytes"], entry["reason"]), (str(self.total), "ok"))
        self.assertLess(proxy.resident_bytes() - before, 32 * MIB)

    def read_all(self, client):
        """Reads the body and checks its bytes by position; returns its length."""
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
        buffer = bytearray(MIB)
        received = len(client.pending)
        self.assertEqual(client.pending, (BLOCK * 2)[: len(client.pending)])
        while received < self.total:
            size = client.socket.recv_into(buffer)
            if size == 0:
                break
            self.assertEqual(buffer[0], received % 256)
            received += size
            self.assertEqual(buffer[size - 1], (received - 1) % 256)
        return received

    def test_a_long_playlist_is_rewritten_no_faster_than_the_client_reads(self):
        proxy = self.proxy()
        up = self.upstream(playlist("#EXTM3U\n" + "a\n" * 60_000))
        proxy.ask("/health")
        before = proxy.resident_bytes()
        with proxy.connect(receive_buffer=64 * 1024, timeout=60) as client:
            referer = "http://page.example/" + "r" * 1000
            client.request(stream_path(up.url("/a.m3u8"), referer=referer))
            wait_until(client.receive_more)
            time.sleep(1)  # rewriting all of it takes less than 0.1 s
            self.assertLess(proxy.resident_bytes() - before, 24 * MIB)
            response = client.read_response()
            self.assertTrue(response.complete)
            self.assertEqual(response.body.count(b"url="), 60_000)
            self.assertTrue(response.body.endswith(b"\n"))

    def check_that_a_pause_stops(self, answer, path):
        """A client that reads only the head stops the upstream, and the worker does not grow."""
        proxy = self.proxy()
        up = self.upstream(answer)
        proxy.ask("/health")
        before = proxy.resident_bytes()
        with proxy.connect(receive_buffer=64 * 1024) as client:
            client.request(stream_path(up.url(path)))
            client.read_head()
            self.assertLess(wait_until_stopped(answer), 64 * MIB)
            self.assertLess(proxy.resident_bytes() - before, 16 * MIB)
        wait_until(answer.closed.is_set, what="the upstream to be cancelled")

    def test_a_client_that_stops_reading_chunks_stops_the_upstream(self):
        def chunks():
            for _ in range(self.total // len(BLOCK)):
                yield b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\n"

        answer = self.endless("Transfer-Encoding: chunked\r\n")
        answer.body = chunks
        self.check_that_a_pause_stops(answer, "/a.ts")

    def test_a_client_that_stops_reading_a_long_playlist_stops_the_upstream(self):
        segment = b"#EXTINF:6,\nvideo/segment.ts\n"

        def blocks():
            yield b"#EXTM3U\n"
            for _ in range(256):
                yield segment * (MIB // len(segment))

        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n"
        answer = Answer(head, body=blocks, then="close")
        self.check_that_a_pause_stops(answer, "/a.m3u8")

    @staticmethod
    def queued(front, upstream):
        """Bytes that the kernel holds for the proxy: to clients, and from the upstream."""
        total = 0
        with open("/proc/net/tcp", encoding="ascii") as file:
            for fields in (line.split() for line in file.readlines()[1:]):
                local, remote = (int(each.split(":")[1], 16) for each in fields[1:3])
                sending, received = (int(each, 16) for each in fields[4].split(":"))
                if fields[3] == "01":
                    total += sending if local == front else received if remote == upstream else 0
        return total

    def test_a_stalled_client_costs_little_memory_of_the_worker_and_of_the_kernel(self):
        proxy = self.proxy()
        answers = [self.endless() for _ in range(40)]
        up = self.upstream(list(answers))
        proxy.ask("/health")
        before = proxy.resident_bytes()
        clients = [proxy.connect(receive_buffer=16 * 1024) for _ in answers]
        for client in clients:
            client.request(stream_path(up.url("/a.ts")))
        for client in clients:
            client.read_head()
        wait_until_stopped(*answers)
        self.assertLess((proxy.resident_bytes() - before) / len(clients), 0.5 * MIB)
        queued = self.queued(proxy.port, up.port) / len(clients)
        self.assertLess(queued, self.most_queued)
        # Other clients are served meanwhile.
        self.assertEqual(proxy.ask("/health").status, 200)
        for client in clients:
            client.close()

    def test_a_client_that_was_fast_and_stops_costs_little_memory_of_the_kernel(self):
        proxy = self.proxy()
        answers = [self.endless() for _ in range(8)]
        up = self.upstream(list(answers))
        clients = [proxy.connect(timeout=60) for _ in answers]
        for client in clients:
            client.request(stream_path(up.url("/a.ts")))
            client.read_head()
        for client in clients:
            left, buffer = 50 * MIB, bytearray(MIB)
            while left > 0:
                left -= client.socket.recv_into(buffer)
        wait_until_stopped(*answers)
        self.assertLess(self.queued(proxy.port, up.port) / len(clients), self.most_queued)
        for client in clients:
            client.close()


class Stalled(ProxyTest):
    settings = {"client": {"write_stall_timeout": "1s"}}

    def test_a_client_that_takes_no_byte_for_write_stall_timeout_is_cut(self):
        proxy = self.proxy()
        up = self.upstream(
            Answer(
                b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                body=lambda: iter(lambda: BLOCK, None),
            )
        )
        with proxy.connect(receive_buffer=16 * 1024) as client:
            client.request(stream_path(up.url("/a.ts")))
            client.read_head()
            self.assertEqual(proxy.wait_for_access()["reason"], "client_stalled")
            wait_until(up.answers[0].closed.is_set, what="the upstream to be cancelled")


if __name__ == "__main__":
    main()
