"""upstream.max_connections: a limit over all workers, waiting requests, and their order."""

import os
import signal
import threading

from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer, ok

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def held(gate):
    """A stream whose second half waits for the gate."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"
    return Answer(head, body=lambda: [b"later"], wait=gate)


def held_at(path_end, gate):
    """Answers such a stream for paths with this end, and a short body for others."""
    return lambda request: held(gate) if request.path.endswith(path_end) else ok(b"x")


class Counting:
    """A script that knows how many requests are being answered at once."""

    def __init__(self, delay):
        self.delay = delay
        self.now = 0
        self.most = 0
        self.lock = threading.Lock()

    def __call__(self, _):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

        def body():
            with self.lock:
                self.now -= 1
            yield b"hello"

        return Answer(HEAD, delay=self.delay, body=body)


class MaxConnections(ProxyTest):
    settings = {"workers": 3}

    def limited(self, limit=1, **upstream):
        return {"max_connections": limit, "connect_timeout": "20s", **upstream}

    def ask_later(self, proxy, url):
        """A request in a thread; `result()` is its answer."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(proxy.stream(url)), daemon=True)
        thread.start()

        def result():
            thread.join(30)
            return answers[0]

        return result

    def hold(self, proxy, url):
        """A client with a stream under way, and the event that ends the stream."""
        client = proxy.connect()
        self.addCleanup(client.close)
        client.request(stream_path(url))
        self.assertEqual(client.read_head().status, 200)
        return client

    def test_the_limit_holds_over_all_workers_under_load(self):
        for limit in (1, 2):
            script = Counting(delay=0.02)
            up = self.upstream(script)
            proxy = self.proxy(upstream=self.limited(limit))
            results = [self.ask_later(proxy, up.url(f"/{i}")) for i in range(40)]
            self.assertEqual([r().body for r in results], [b"hello"] * 40)
            self.assertEqual(script.most, limit)

    def test_a_request_waits_and_then_is_served(self):
        gate = threading.Event()
        up = self.upstream(
            {"/a": held(gate), "/b": ok(b"b")}
        )
        proxy = self.proxy(upstream=self.limited())
        self.hold(proxy, up.url("/a"))
        later = self.ask_later(proxy, up.url("/b"))
        self.wait_until_waiting(proxy, 1)
        self.assertEqual(up.targets(), ["/a"])
        gate.set()
        self.assertEqual(later().body, b"b")

    def test_a_request_that_waits_too_long_gets_503_upstream_busy(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        up = self.upstream({"/a": held(gate)})
        proxy = self.proxy(upstream=self.limited(connect_timeout="300ms"))
        self.hold(proxy, up.url("/a"))
        response = proxy.stream(up.url("/b"))
        self.assert_error(response, 503, "upstream_busy")
        self.assertEqual(response["Retry-After"], "5")
        self.assertEqual(proxy.wait_for_access()["reason"], "upstream_busy")
        self.assertEqual(up.targets(), ["/a"])
        other = self.upstream(ok(b"other"))
        self.assertEqual(proxy.stream(other.url()).body, b"other")

    def test_waiting_requests_are_served_in_their_order(self):
        gate = threading.Event()
        up = self.upstream(held_at("/a", gate))
        proxy = self.proxy(upstream=self.limited())
        self.hold(proxy, up.url("/a"))
        clients = []
        for i in range(6):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(up.url(f"/{i}")))
            clients.append(client)
            # Its worker has read the request before the next one is sent.
            self.wait_until_waiting(proxy, i + 1)
        gate.set()
        for client in clients:
            self.assertEqual(client.read_response().body, b"x")
        self.assertEqual(up.targets(), ["/a"] + [f"/{i}" for i in range(6)])

    def wait_until_waiting(self, proxy, count):
        """Until that many exchanges wait for a connection, as the live state tells."""
        mark = len(proxy.events())

        def are_waiting():
            live = [e for e in proxy.events()[mark:] if e["event"] == "exchange.live"]
            waiting = {e["client"] for e in live if e["step"] == "connect"}
            if len(waiting) >= count:
                return True
            proxy.send_signal(signal.SIGUSR2)
            return False

        wait_until(are_waiting, what=f"{count} waiting requests")

    def test_an_idle_connection_of_another_worker_is_closed(self):
        up = self.upstream(ok(b"hello"))
        proxy = self.proxy(upstream=self.limited())

        def has_changed_worker():
            self.assertEqual(proxy.stream(up.url()).body, b"hello")
            return up.connections >= 3

        wait_until(has_changed_worker, 30, "requests in several workers")

    def test_accounts_are_counted_separately(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        up = self.upstream(held_at("/1.ts", gate))
        proxy = self.proxy(
            upstream=self.limited(max_connections_by="account", connect_timeout="300ms")
        )
        self.hold(proxy, up.url("/live/ann/pw/1.ts"))
        self.assert_error(proxy.stream(up.url("/live/ann/pw/2.ts")), 503, "upstream_busy")
        self.assertEqual(proxy.stream(up.url("/live/bob/pw/2.ts")).body, b"x")
        self.assertEqual(proxy.stream(up.url("/live/eve/pw/2.ts")).body, b"x")
        self.assertEqual(up.connections, 3)  # bob's idle connection did not serve eve
        for path in (
            "/ann/pw/2.ts",
            "/ann/pw/2",
            "/movie/ann/pw/2.mkv",
            "/series/ann/pw/2.mp4",
            "/timeshift/ann/pw/60/2026-01-01:10-00/2.ts",
            "/get.php?username=ann&password=pw&type=m3u",
            "/player_api.php?password=pw&username=ann",
        ):
            self.assert_error(proxy.stream(up.url(path)), 503, "upstream_busy")
        self.assertEqual(proxy.stream(up.url("/bob/pw/2.ts")).body, b"x")

    def test_a_limit_of_one_host_does_not_limit_other_hosts(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        up = self.upstream(held_at("/a", gate))
        hosts = {"localhost": {"max_connections": 1}}
        proxy = self.proxy(upstream={"connect_timeout": "300ms", "hosts": hosts})
        self.hold(proxy, up.url("/a", host="localhost"))
        self.assert_error(proxy.stream(up.url("/b", host="localhost")), 503, "upstream_busy")
        self.hold(proxy, up.url("/a"))
        self.assertEqual(proxy.stream(up.url("/b")).body, b"x")

    def test_a_client_that_leaves_gives_up_its_turn_and_its_place(self):
        gate = threading.Event()
        up = self.upstream(held_at("/a", gate))
        self.addCleanup(gate.set)
        proxy = self.proxy(upstream=self.limited())
        holder = self.hold(proxy, up.url("/a"))
        leaver = proxy.connect()
        leaver.request(stream_path(up.url("/left")))
        self.wait_until_waiting(proxy, 1)
        leaver.close()
        later = self.ask_later(proxy, up.url("/b"))
        self.wait_until_waiting(proxy, 1)
        holder.close()
        self.assertEqual(later().body, b"x")
        self.assertEqual(up.targets(), ["/a", "/b"])

    def test_a_failed_connection_gives_its_place_back(self):
        up = self.upstream(ok(b"x"))
        up.stop_accepting()
        proxy = self.proxy(upstream=self.limited(connect_timeout="1s"))
        for _ in range(3):
            self.assert_error(proxy.stream(up.url()), 502, "connect_failed")

    def test_the_places_of_a_killed_worker_are_free(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        up = self.upstream(held_at("/a", gate))
        proxy = self.own_proxy({"upstream": self.limited()})
        self.hold(proxy, up.url("/a"))
        for pid in proxy.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(proxy.is_serving, what="new workers")
        self.assertEqual(proxy.stream(up.url("/b")).body, b"x")


if __name__ == "__main__":
    main()
