"""Popular bodies leave the cache without being copied: sockets hold the cache's own pages."""

import contextlib
import json
import os
import random
import signal
import threading
from urllib.parse import quote

from admin import ADMIN, admin_address, ask, metrics
from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer, ok

LARGE = random.Random(3).randbytes(1_000_003)
LONG = {"Cache-Control": "max-age=600"}
OUTCOME = "X-Streamgate-Cache"
USES = 4  # the requests of the owner's clients until a body is lent
SNIFFED = 65_536  # the first bytes of an answer are copied


class Lent(ProxyTest):
    settings = {"cache": {"memory": "64MiB"}, "workers": 1, "admin": ADMIN}

    def uncopied(self, proxy):
        return metrics(admin_address(proxy))["streamgate_cache_bytes_uncopied_total"]

    def make_popular(self, proxy, url, body, outcomes=("miss", "hit")):
        first, later = outcomes
        for number in range(USES):
            response = proxy.stream(url)
            self.assertEqual(response[OUTCOME], first if number == 0 else later)
            self.assertEqual(response.body, body)

    def test_bodies_are_sent_without_a_copy_from_the_fourth_request_on(self):
        up = self.upstream(lambda _: ok(LARGE, LONG, content_type="video/mp2t"))
        proxy = self.own_proxy()
        url = up.url("/a.ts")
        self.make_popular(proxy, url, LARGE)
        once = self.uncopied(proxy)
        self.assertGreaterEqual(once, len(LARGE) - SNIFFED)
        self.assertLess(once, len(LARGE))
        self.assertEqual(proxy.stream(url).body, LARGE)
        self.assertEqual(self.uncopied(proxy), 2 * once)
        self.assertEqual(len(up.requests), 1)

    def test_ranges_of_a_lent_body(self):
        up = self.upstream(lambda _: ok(LARGE, LONG, content_type="video/mp2t"))
        proxy = self.own_proxy()
        url = up.url("/a.ts")
        self.make_popular(proxy, url, LARGE)
        before = self.uncopied(proxy)
        for first, last in ((0, 0), (4095, 4097), (300_001, 800_000), (999_999, 1_000_002)):
            response = proxy.stream(url, {"Range": f"bytes={first}-{last}"})
            self.assertEqual((response.status, response[OUTCOME]), (206, "hit"))
            self.assertEqual(response.body, LARGE[first : last + 1])
        self.assertGreater(self.uncopied(proxy), before)

    def test_small_bodies_are_copied(self):
        small = LARGE[:120_000]
        up = self.upstream(lambda _: ok(small, LONG, content_type="video/mp2t"))
        proxy = self.own_proxy()
        for _ in range(2):
            self.make_popular(proxy, up.url("/a.ts"), small, ("miss", "hit"))
            self.purge(proxy, up.url("/a.ts"))
        self.assertEqual(self.uncopied(proxy), 0)

    def test_a_body_that_still_grows_is_lent(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        half = len(LARGE) // 2
        head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: %d\r\n\r\n"
        begin = head % len(LARGE) + LARGE[:half]
        up = self.upstream(lambda _: Answer(begin, body=lambda: [LARGE[half:]], wait=gate))
        proxy = self.own_proxy()
        clients = []
        for _ in range(8):
            clients.append(proxy.connect())
            self.addCleanup(clients[-1].close)
            clients[-1].request(stream_path(up.url("/a.ts")))
        responses = [client.read_head() for client in clients]
        wait_until(lambda: self.uncopied(proxy) > 0)
        gate.set()
        for client, response in zip(clients, responses):
            client.read_body(response)
            self.assertEqual(response.body, LARGE)
        self.assertEqual(len(up.requests), 1)

    def test_other_workers_send_the_pages_of_the_owner(self):
        up = self.upstream(lambda _: ok(LARGE, LONG, content_type="video/mp2t"))
        proxy = self.own_proxy({"workers": 2})
        url = up.url("/a.ts")
        clients = [proxy.connect() for _ in range(12)]
        for client in clients:
            self.addCleanup(client.close)
        for _ in range(6):
            for client in clients:
                client.request(stream_path(url))
                self.assertEqual(client.read_response().body, LARGE)
        self.assertEqual(len(up.requests), 1)
        self.assertGreater(self.uncopied(proxy), 40 * len(LARGE))

    def client_of_other_worker(self, proxy, pid, url):
        """A client on another worker, in the middle of the body of `url`, and its head."""
        with contextlib.ExitStack() as others:  # they stay, so that their worker is ahead
            for _ in range(100):
                client = proxy.connect(receive_buffer=4096)
                client.request(stream_path(url))
                head = client.read_head()
                if proxy.pid_serving(client) != pid:
                    self.addCleanup(client.close)
                    return client, head
                others.enter_context(client)
        raise AssertionError("one worker has all clients")

    def test_a_body_stays_whole_when_the_worker_that_fetched_it_ends(self):
        body = LARGE * 8  # more than the sockets of a client that reads nothing
        up = self.upstream(lambda _: ok(body, LONG, content_type="video/mp2t"))
        proxy = self.own_proxy({"workers": 2})
        url = up.url("/a.ts")
        with proxy.connect() as client:
            for _ in range(USES + 1):
                client.request(stream_path(url))
                response = client.read_head()
                owner = proxy.pid_serving(client)
                client.read_body(response)
                self.assertEqual(response.body, body)
        late, head = self.client_of_other_worker(proxy, owner, url)
        self.assertGreater(self.uncopied(proxy), len(body))
        os.kill(owner, signal.SIGTERM)
        wait_until(lambda: proxy.events_named("worker.died"))
        late.read_body(head)
        self.assertEqual(head.body, body)
        self.assertEqual(len(up.requests), 1)

    def purge(self, proxy, url):
        order = f"/purge?url={quote(url, safe='')}"
        answer = ask(admin_address(proxy), order, method="POST")
        return json.loads(answer.text)["purged"]

    def test_a_client_that_reads_late_gets_no_byte_of_another_body(self):
        # Small enough for the socket of a client that reads nothing.
        body, other = LARGE[:200_000], bytes(reversed(LARGE[:200_000]))
        up = self.upstream(
            lambda r: ok(
                body if r.path == "/a.ts" else other, LONG, content_type="video/mp2t"
            )
        )
        proxy = self.own_proxy()
        url = up.url("/a.ts")
        self.make_popular(proxy, url, body)
        late = []
        for _ in range(4):
            before = self.uncopied(proxy)
            late.append(proxy.connect(receive_buffer=1 << 20))
            self.addCleanup(late[-1].close)
            late[-1].request(stream_path(url))
            # The answer has left the worker, and the kernel has the cache's pages.
            wait_until(lambda b=before: self.uncopied(proxy) - b >= len(body) - SNIFFED)
        self.assertEqual(self.purge(proxy, url), 1)
        for number in range(8):  # they take the memory of the purged one
            self.assertEqual(proxy.stream(up.url(f"/{number}.ts")).body, other)
        for client in late:
            self.assertEqual(client.read_response().body, body)


if __name__ == "__main__":
    main()
