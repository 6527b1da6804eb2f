"""limits.connections: new clients take the places of idle ones, and are refused if none is idle."""

import contextlib
import os
import resource
import select
import shutil
import signal
import socket
import tempfile
import time

from harness import BINARY, ProxyTest, main, wait_until
from programs import NEXT, put
from upstream import ok

AT_ONCE = 100  # refused connections that a worker answers without a pause
PER_SECOND = 500
HEALTH = b"GET /health HTTP/1.1\r\nHost: a.test\r\n\r\n"


def is_open(connection):
    """Whether the proxy has neither closed nor reset the connection."""
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    return not poller.poll(0)


class ConnectionsTest(ProxyTest):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def limited(self, connections, **settings):
        limits = {"connections": connections, **settings.pop("limits", {})}
        return self.own_proxy({"limits": limits, **settings})

    def open(self, proxy, count=1, data=b""):
        """Connections that send `data` and nothing else."""
        out = []
        for _ in range(count):
            connection = socket.create_connection((proxy.host, proxy.port), 10)
            self.addCleanup(connection.close)
            if data:
                connection.sendall(data)
            out.append(connection)
        return out

    def keep_alive(self, proxy, count=1):
        """Connections whose first request has been answered."""
        out = self.open(proxy, count, HEALTH)
        for connection in out:
            self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 200 "))
        return out

    def open_now(self, connections):
        return sum(is_open(connection) for connection in connections)

    def finish(self, client, gate):
        """Lets the stream of `stream_under_way` finish, and checks that it is complete."""
        gate.set()
        wait_until(lambda: client.pending == b"firstlater" or not client.receive_more())
        self.assertEqual(client.pending, b"firstlater")
        client.close()

    def assert_not_all_are_answered(self, proxy, status, data=HEALTH, count=1500):
        """Opens that many connections which are all refused."""
        answered, begun = 0, time.monotonic()
        for _ in range(count):
            with (
                socket.create_connection((proxy.host, proxy.port), 10) as client,
                contextlib.suppress(ConnectionError),
            ):
                client.sendall(data)
                answered += client.recv(4096).startswith(b"HTTP/1.1 %d " % status)
        self.assertLessEqual(answered, AT_ONCE + PER_SECOND * (time.monotonic() - begun))
        self.assertGreaterEqual(answered, AT_ONCE)

    def serve_newcomers(self, proxy, count=20):
        up = self.upstream(ok(b"hello"))
        for _ in range(count):
            begun = time.monotonic()
            self.assertEqual(proxy.stream(up.url("/a.ts")).body, b"hello")
            self.assertLess(time.monotonic() - begun, 1.0)


class Idle(ConnectionsTest):
    def test_the_limit_holds_beside_4000_silent_connections(self):
        proxy = self.limited(500, workers=2, client={"header_timeout": "60s"})
        silent = self.open(proxy, 4000)
        wait_until(lambda: self.open_now(silent) <= 502)
        self.assertGreater(self.open_now(silent), 450)
        self.serve_newcomers(proxy)
        self.assertLessEqual(self.open_now(silent), 502)
        proxy.wait_for_access(20)
        self.assertEqual({e["status"] for e in proxy.access_log()}, {"200"})

    def test_1500_idle_keep_alive_connections_do_not_block_new_clients(self):
        proxy = self.limited(1500, workers=2, client={"keepalive_timeout": "60s"})
        idle = self.keep_alive(proxy, 1500)
        self.assertGreater(self.open_now(idle), 1400)
        more = self.keep_alive(proxy, 300)
        self.serve_newcomers(proxy)
        self.assertLessEqual(self.open_now(idle + more), 1502)
        self.assertGreater(self.open_now(more), 290)

    def test_the_longest_idle_connection_is_closed(self):
        proxy = self.limited(3)
        first, second, third = (self.keep_alive(proxy)[0] for _ in range(3))
        first.sendall(HEALTH)  # now the second one is idle for the longest time
        self.assertTrue(first.recv(4096).startswith(b"HTTP/1.1 200 "))
        self.keep_alive(proxy)
        wait_until(lambda: not is_open(second))
        self.assertTrue(is_open(first) and is_open(third))

    def test_a_client_of_a_tls_port_that_sends_nothing_is_idle(self):
        from test_listen_tls import TlsTest

        class Tls(TlsTest):
            def runTest(self):
                pass

        Tls.setUpClass()
        self.addCleanup(Tls.tearDownClass)
        listen = Tls().listen()["listen"]
        proxy = self.own_proxy(
            {"listen": listen, "limits": {"connections": 5}}, tls=Tls.trusting
        )
        silent = self.open(proxy, 5)
        self.assertEqual(proxy.ask("/health").status, 200)
        wait_until(lambda: self.open_now(silent) < 5)

    def test_a_connection_with_an_unread_request_is_not_closed(self):
        proxy = self.limited(20, workers=1)
        (worker,) = proxy.workers()
        os.kill(worker, signal.SIGSTOP)
        # Accepted in one turn: the last ones find the first ones idle, with unread requests.
        clients = self.open(proxy, 60, HEALTH)
        os.kill(worker, signal.SIGCONT)
        answers = [connection.recv(4096) for connection in clients[:20]]
        for answer in answers:
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)


class TwoWorkers(ConnectionsTest):
    def test_a_worker_without_idle_connections_gets_places_from_another(self):
        settings = {"workers": 2, "watchdog_timeout": "60s", "client": {"keepalive_timeout": "60s"}}
        proxy = self.limited(200, **settings)
        wait_until(lambda: len(proxy.events_named("worker.ready")) == 2)
        first, second = proxy.workers()
        os.kill(second, signal.SIGSTOP)
        try:
            idle = self.keep_alive(proxy, 200)
        finally:
            os.kill(second, signal.SIGCONT)
        busy = [self.stream_under_way(proxy) for _ in range(20)]
        self.serve_newcomers(proxy)
        self.assertLessEqual(self.open_now(idle) + len(busy), 202)
        for client, gate in busy:
            self.finish(client, gate)
        for entry in proxy.access_log():
            self.assertIn(entry["status"], ("200", "0"))

    def test_after_a_reload_the_draining_worker_makes_room(self):
        settings = {"drain": {"idle": "60s"}, "client": {"keepalive_timeout": "60s"}}
        proxy = self.limited(200, **settings)
        idle = self.keep_alive(proxy, 200)
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        self.serve_newcomers(proxy)
        more = self.keep_alive(proxy, 100)
        self.assertLessEqual(self.open_now(idle + more), 202)


class Busy(ConnectionsTest):
    def test_a_stream_and_a_fresh_request_head_are_not_closed(self):
        proxy = self.limited(2)
        client, gate = self.stream_under_way(proxy)
        (begun,) = self.open(proxy, 1, HEALTH[:10])
        self.assert_error(proxy.ask("/health"), 503, "overloaded")
        self.assertTrue(is_open(begun))
        begun.sendall(HEALTH[10:])
        self.assertTrue(begun.recv(4096).startswith(b"HTTP/1.1 200 "))
        self.finish(client, gate)

    def test_a_connection_whose_request_head_takes_seconds_is_closed(self):
        proxy = self.limited(5, client={"header_timeout": "60s"})
        slow = self.open(proxy, 5, HEALTH[:10])
        wait_until(lambda: proxy.ask("/health").status == 200, 5, "a place")
        self.assertEqual(self.open_now(slow), 4)

    def test_if_all_are_busy_each_new_client_gets_503(self):
        proxy = self.limited(2)
        streams = [self.stream_under_way(proxy) for _ in range(2)]
        for _ in range(5):
            self.assert_error(proxy.ask("/health"), 503, "overloaded")
        response = proxy.ask("/health", method="HEAD")
        self.assertEqual((response.status, response.body), (503, b""))
        self.finish(*streams.pop())
        self.assertEqual(proxy.ask("/health").status, 200)
        for stream in streams:
            self.finish(*stream)

    def test_refused_connections_do_not_pile_up(self):
        proxy = self.limited(3)
        streams = [self.stream_under_way(proxy) for _ in range(3)]
        for data in (b"", HEALTH[:10], b"\r\n"):
            with self.subTest(data):
                refused = self.open(proxy, 30, data)
                wait_until(lambda r=refused: self.open_now(r) <= 1)
        # One that is closed for the next one gets the answer first.
        answer = refused[0].recv(4096)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        for stream in streams:
            self.finish(*stream)
        self.assertEqual(proxy.ask("/health").status, 200)

    def test_a_flood_of_refused_connections_is_not_all_answered(self):
        proxy = self.limited(1)
        stream = self.stream_under_way(proxy)
        self.assert_not_all_are_answered(proxy, 503)
        self.finish(*stream)
        wait_until(lambda: proxy.ask("/health").status == 200, what="a place")


class PerClient(ConnectionsTest):
    """The PROXY protocol gives the clients their addresses."""

    def limited(self, connections, binary=BINARY, **settings):
        return self.own_proxy(
            {
                "listen": [{"address": "127.0.0.1:0", "proxy_protocol": True}],
                "trusted_proxies": ["127.0.0.1", "192.0.2.99"],
                "limits": {"per_client": {"connections": connections}},
                "client": {"header_timeout": "60s", "keepalive_timeout": "60s"},
                **settings,
            },
            binary=binary,
        )

    def client(self, proxy, address, data=HEALTH):
        family = "TCP6" if ":" in address else "TCP4"
        header = f"PROXY {family} {address} {address} 4711 80\r\n".encode()
        return self.open(proxy, 1, header + data)[0]

    def ask(self, proxy, address):
        """The answer to a request of that client, on a connection that stays open."""
        return self.client(proxy, address).recv(4096)

    def assert_served(self, answer):
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)

    def assert_limited(self, answer):
        self.assertTrue(answer.startswith(b"HTTP/1.1 429 "), answer)
        self.assertIn(b"\r\nX-Streamgate-Error: rate_limited\r\n", answer)
        self.assertIn(b"\r\nRetry-After: 5\r\n", answer)

    def test_a_client_beyond_its_limit_gets_429(self):
        proxy = self.limited(3)
        held = [self.client(proxy, "192.0.2.1") for _ in range(3)]
        for connection in held:
            self.assert_served(connection.recv(4096))
        for _ in range(5):
            self.assert_limited(self.ask(proxy, "192.0.2.1"))
        self.assert_served(self.ask(proxy, "192.0.2.2"))
        held.pop().close()
        wait_until(lambda: b" 200 " in self.ask(proxy, "192.0.2.1"), what="a place")
        self.assert_limited(self.ask(proxy, "192.0.2.1"))
        wait_until(lambda: "429" in {entry["status"] for entry in proxy.access_log()})

    def test_a_flood_of_one_client_is_not_all_answered(self):
        for settings in ({}, {"listen": "127.0.0.1:0", "trusted_proxies": []}):
            proxy = self.limited(3, **settings)
            is_named = not settings
            header = b"PROXY TCP4 192.0.2.1 192.0.2.1 4711 80\r\n" if is_named else b""
            held = self.open(proxy, 3, header + HEALTH)
            for connection in held:
                self.assert_served(connection.recv(4096))
            self.assert_not_all_are_answered(proxy, 429, header + HEALTH)
            held.pop().close()
            wait_until(
                lambda p=proxy, h=header: b" 200 " in self.open(p, 1, h + HEALTH)[0].recv(4096),
                what="a place",
            )

    def test_silent_connections_count_and_those_beyond_do_not_pile_up(self):
        proxy = self.limited(3)
        silent = [self.client(proxy, "192.0.2.1", b"") for _ in range(50)]
        wait_until(lambda: self.open_now(silent) <= 4)
        self.assertGreaterEqual(self.open_now(silent), 3)
        self.assert_limited(self.ask(proxy, "192.0.2.1"))

    def test_the_addresses_of_an_ipv6_64_are_one_client(self):
        proxy = self.limited(2)
        self.assert_served(self.ask(proxy, "2001:db8:0:1::1"))
        self.assert_served(self.ask(proxy, "2001:db8:0:1:ffff::2"))
        self.assert_limited(self.ask(proxy, "2001:db8:0:1::3"))
        self.assert_served(self.ask(proxy, "2001:db8:0:2::1"))

    def test_trusted_proxies_have_no_limit(self):
        proxy = self.limited(2)
        for _ in range(5):
            self.assert_served(self.ask(proxy, "192.0.2.99"))

    def test_by_default_there_is_no_limit(self):
        proxy = self.limited(0)
        for _ in range(100):
            self.assert_served(self.ask(proxy, "192.0.2.1"))

    def test_the_peer_of_an_ordinary_connection_is_counted(self):
        proxy = self.limited(2, listen="127.0.0.1:0", trusted_proxies=[])
        self.keep_alive(proxy, 2)
        self.assert_limited(self.open(proxy, 1, HEALTH)[0].recv(4096))

    def test_the_limit_holds_over_workers_reloads_and_deaths(self):
        proxy = self.limited(8, workers=2, drain={"idle": "60s"}, watchdog_timeout="60s")
        wait_until(lambda: len(proxy.events_named("worker.ready")) == 2)

        def served(count):
            """How many of `count` connections the client gets; they stay open."""
            return sum(b" 200 " in self.ask(proxy, "192.0.2.1") for _ in range(count))

        self.assertIn(served(20), (8, 9, 10))
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        self.assertLessEqual(served(20), 2)  # the connections of the draining workers count
        # A worker that is killed leaves no count behind.
        for pid in proxy.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(proxy.events_named("worker.died")) == 4)
        wait_until(lambda: served(1) == 1, what="a worker without the old counts")
        self.assertIn(served(20), (7, 8, 9))

    def test_the_limit_holds_over_an_upgrade(self):
        folder = tempfile.mkdtemp(prefix="streamgate-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        program = os.path.join(folder, "streamgate")
        put(BINARY, program)
        proxy = self.limited(3, binary=program, drain={"idle": "60s"})
        for _ in range(3):
            self.assert_served(self.ask(proxy, "192.0.2.1"))
        put(NEXT, program)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("upgrade.done", 60)
        proxy.wait_for_event("reload.done", 60)
        self.assert_limited(self.ask(proxy, "192.0.2.1"))
        self.assert_served(self.ask(proxy, "192.0.2.2"))

    def test_connections_of_many_addresses_leave_nothing_behind(self):
        proxy = self.limited(1)
        for i in range(2000):
            address = f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"
            with contextlib.closing(self.client(proxy, address)) as connection:
                self.assert_served(connection.recv(4096))
        for i in range(0, 2000, 100):
            address = f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"
            wait_until(lambda a=address: b" 200 " in self.ask(proxy, a), what="a free place")


class Descriptors(ConnectionsTest):
    def small(self, descriptors, **settings):
        """A proxy whose worker may open few descriptors, although it was started with more."""
        proxy = self.own_proxy(settings)
        for pid in proxy.workers():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, 4096))
        return proxy

    def test_idle_clients_leave_descriptors_for_upstreams(self):
        proxy = self.own_proxy()
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (160, 160))
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        wait_until(lambda: len(proxy.workers()) == 1)
        idle = self.open(proxy, 400)
        self.serve_newcomers(proxy)
        self.assertLess(self.open_now(idle), 160)
        self.assertGreater(self.open_now(idle), 100)
        self.assertEqual(proxy.events_named("accept.failed"), [])

    def test_at_emfile_an_idle_client_is_closed(self):
        proxy = self.small(64)
        idle = self.open(proxy, 300)
        self.serve_newcomers(proxy)
        proxy.wait_for_event("accept.failed")
        self.assertLess(self.open_now(idle), 64)

    def test_at_emfile_without_idle_clients_the_worker_does_not_spin(self):
        proxy = self.own_proxy({"client": {"write_stall_timeout": "60s"}})
        streams = [self.stream_under_way(proxy) for _ in range(3)]
        (pid,) = proxy.workers()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (10, 4096))
        waiting = self.open(proxy, 5, HEALTH)
        proxy.wait_for_event("accept.failed")

        def cpu():
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before, begun = cpu(), time.monotonic()
        wait_until(lambda: time.monotonic() - begun > 1.0)
        self.assertLess(cpu() - before, 20)  # of 100 ticks in a second
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 4096))
        for connection in waiting:
            self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 200 "))
        for stream in streams:
            self.finish(*stream)


if __name__ == "__main__":
    main()
