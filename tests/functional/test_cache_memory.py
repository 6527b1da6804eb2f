"""The memory of the cache when it is full: what is evicted, and when nothing is."""

import itertools
import threading
import time

from admin import ADMIN, admin_address, metrics
from harness import ProxyTest, main, stream_path, wait_until
from live_viewers import stalled
from upstream import Answer, ok

PACKETS = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 40


class Full(ProxyTest):
    def outcome(self, client, url):
        client.request(stream_path(url))
        return client.read_response()["X-Streamgate-Cache"]

    def clients_of_both_workers(self, proxy):
        """A client of each of two workers. Both keep their connections."""
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst"
        up = self.upstream(lambda _: Answer(head, body=lambda: [b"last"], wait=gate))
        clients = {}
        for attempt in itertools.count():
            self.assertLess(attempt, 200, "one worker has all clients")
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(up.url(f"/{attempt}")))
            clients.setdefault(proxy.pid_serving(client), client)
            if len(clients) == 2:
                break
        gate.set()
        for client in clients.values():
            self.assertEqual(client.read_response().body, b"firstlast")
        return clients.values()

    def objects(self, size):
        body = b"x" * size
        return self.upstream(lambda _: ok(body, {"Cache-Control": "max-age=600"}))

    def evictions(self, proxy):
        return metrics(admin_address(proxy))["streamgate_cache_evictions_total"]

    def test_a_worker_gives_up_only_its_excess_for_another_one(self):
        up = self.objects(250_000)
        proxy = self.own_proxy(
            {"cache": {"memory": "16MiB", "object_size": "1MiB"}, "workers": 2}
        )
        one, other = self.clients_of_both_workers(proxy)
        urls = [up.url(f"/{number}") for number in range(64)]
        for url in urls:
            self.assertEqual(self.outcome(one, url), "miss")
        large = self.objects(900_000).url("/large")
        wait_until(lambda: self.outcome(other, large) == "miss")
        kept = itertools.takewhile(lambda url: self.outcome(one, url) == "hit", reversed(urls))
        self.assertGreater(sum(1 for _ in kept), 20)

    def test_a_worker_that_drains_gives_up_its_memory_for_the_others(self):
        up = self.objects(900_000)
        cache = {"memory": "64MiB", "object_size": "1MiB", "segment_age": "1h"}
        proxy = self.own_proxy({"cache": cache, "workers": 1})
        for number in range(40):
            proxy.stream(up.url(f"/{number}"))
        client, gate = self.stream_under_way(proxy)
        proxy.reload({"cache": {**cache, "memory": "8MiB"}})
        proxy.wait_for_event("worker.draining", generation="1")
        wait_until(lambda: proxy.stream(up.url("/a"))["X-Streamgate-Cache"] == "hit")
        self.finish_stream(client, gate)

    def test_what_was_used_last_stays_also_if_another_worker_used_it(self):
        up = self.objects(250_000)
        proxy = self.own_proxy(
            {"cache": {"memory": "8MiB", "object_size": "1MiB"}, "workers": 2, "admin": ADMIN}
        )
        one, other = self.clients_of_both_workers(proxy)
        urls = [up.url(f"/{number}") for number in range(24)]
        for url in urls:
            self.assertEqual(self.outcome(one, url), "miss")
        self.assertEqual(self.evictions(proxy), 0)
        time.sleep(0.01)  # times of use are in milliseconds
        for client, url in ((one, urls[0]), (other, urls[1])):
            self.assertEqual(self.outcome(client, url), "hit")
        number = itertools.count()
        while self.evictions(proxy) < 6:
            self.outcome(one, up.url(f"/new{next(number)}"))
        self.assertEqual([self.outcome(one, url) for url in urls[:4]], ["hit"] * 2 + ["miss"] * 2)

    def test_a_burst_evicts_little_more_than_it_stores(self):
        up = self.objects(60_000)
        proxy = self.own_proxy(
            {"cache": {"memory": "8MiB", "object_size": "64KiB"}, "workers": 2, "admin": ADMIN}
        )
        one, other = self.clients_of_both_workers(proxy)
        for number in range(130):
            self.assertEqual(self.outcome(one, up.url(f"/{number}")), "miss")
            self.assertEqual(self.outcome(other, up.url(f"/{number}")), "hit")
        before = self.evictions(proxy)
        begun = time.monotonic()
        for number in range(32):
            self.outcome(one, up.url(f"/new{number}"))
        # A sixteenth of the memory at a time, and not again while the other worker has not given up
        # its leases, or for 100 ms.
        share = 8 * 1024 * 1024 // 16 // 60_000 + 1
        times = 1 + 10 * (time.monotonic() - begun)
        self.assertLessEqual(self.evictions(proxy) - before, 32 + share * times)

    def test_nothing_is_evicted_for_a_stream_that_finds_no_room(self):
        streams = self.upstream(lambda _: stalled(PACKETS))
        up = self.objects(250_000)
        proxy = self.own_proxy({"cache": {"memory": "18MiB", "object_size": "1MiB"}, "workers": 1})
        outcomes = []
        stored = [up.url(f"/{number}") for number in range(4)]
        for number in range(3):
            if number == 2:
                for url in stored:
                    self.assertEqual(proxy.stream(url)["X-Streamgate-Cache"], "miss")
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(streams.url(f"/{number}")))
            outcomes.append(client.read_head()["X-Streamgate-Cache"])
        self.assertEqual(outcomes, ["miss", "miss", "pass"])
        for url in stored:
            self.assertEqual(proxy.stream(url)["X-Streamgate-Cache"], "hit")


if __name__ == "__main__":
    main()
