"""Limits for clients: limits.streams, limits.per_client, security.clients."""

import os
import shutil
import signal
import tempfile
import time

from admin import ADMIN, admin_address, metrics
from certificates import Authority
from harness import BINARY, main, stream_path, wait_until
from limits_test_case import LimitsTest
from programs import NEXT, put
from tokens import hs256, with_tokens
from upstream import ok


class Streams(LimitsTest):
    def test_a_client_beyond_its_streams_gets_429(self):
        proxy = self.per_client(streams=3)
        held = self.held(proxy)
        self.assertEqual(held.hold(5), 3)
        self.assert_limited(held.ask(stream_path(held.up.url("/hold"))))
        body = proxy.stream(held.up.url("/a.m3u8"))
        self.assertIn("as many streams as it may have", body.text)
        self.assertEqual(proxy.ask("/health").status, 200)
        held.let_go()
        wait_until(lambda: held.hold() == 1, what="the place of the stream that ended")
        self.assertEqual(held.hold(), 0)

    def test_the_streams_of_all_clients_are_limited_too(self):
        proxy = self.own_proxy({"limits": {"streams": 2}, "admin": ADMIN})
        held = self.held(proxy)
        self.assertEqual(held.hold(2), 2)
        refused = proxy.stream(held.up.url("/a.m3u8"))
        self.assert_error(refused, 503, "overloaded")
        self.assertEqual(refused["Retry-After"], "5")
        self.assertEqual(proxy.ask("/health").status, 200)
        counted = metrics(admin_address(proxy))
        self.assertEqual(counted["streamgate_streams_refused_total"], 1)
        held.let_go()
        wait_until(lambda: held.hold() == 1)

    def test_clients_are_ipv4_addresses_and_ipv6_64s(self):
        proxy = self.own_proxy(
            {
                "listen": [{"address": "127.0.0.1:0", "proxy_protocol": True}],
                "trusted_proxies": ["127.0.0.1", "192.0.2.99"],
                "limits": {"per_client": {"streams": 1}},
            }
        )
        held = self.held(proxy)
        target = stream_path(held.up.url("/hold"))

        def ask(address):
            family = "TCP6" if ":" in address else "TCP4"
            header = f"PROXY {family} {address} {address} 4711 80\r\n".encode()
            return held.ask(target, preface=header).status

        self.assertEqual([ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")], [200, 429, 200])
        self.assertEqual([ask("2001:db8::1"), ask("2001:db8::ffff:2")], [200, 429])
        self.assertEqual(ask("2001:db8:0:1::1"), 200)
        # A trusted proxy is exempt from limits.per_client.connections only.
        self.assertEqual([ask("192.0.2.99"), ask("192.0.2.99")], [200, 429])

    def test_the_client_is_the_one_that_a_trusted_proxy_names(self):
        proxy = self.own_proxy(
            {
                "trusted_proxies": ["127.0.0.1"],
                "client_address": "x-forwarded-for",
                "limits": {"per_client": {"streams": 1}},
            }
        )
        held = self.held(proxy)
        target = stream_path(held.up.url("/hold"))
        answers = [
            held.ask(target, [("X-Forwarded-For", name)]).status
            for name in ("192.0.2.1", "192.0.2.1", "192.0.2.2")
        ]
        self.assertEqual(answers, [200, 429, 200])

    def test_the_limit_holds_over_workers_reloads_and_deaths(self):
        proxy = self.per_client(streams=8, workers=2, drain={"idle": "60s"})
        wait_until(lambda: len(proxy.events_named("worker.ready")) == 2)
        held = self.held(proxy)
        # Two workers may both refuse the last place; neither admits a stream beyond it.
        self.assertLessEqual(held.hold_at_once(40), 8)
        held.hold(8)
        self.assertEqual(len(held.clients), 8)
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        self.assertEqual(held.hold(20), 0)  # the streams of the draining workers count
        for pid in proxy.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(proxy.events_named("worker.died")) == 4)
        wait_until(lambda: held.hold() == 1, what="a worker without the old counts")
        self.assertEqual(held.hold(20), 7)

    def test_the_limits_hold_over_an_upgrade(self):
        folder = tempfile.mkdtemp(prefix="streamgate-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        program = os.path.join(folder, "streamgate")
        put(BINARY, program)
        proxy = self.per_client(streams=3, binary=program)
        held = self.held(proxy)
        self.assertEqual(held.hold(3), 3)
        put(NEXT, program)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_event("upgrade.done", 60)
        proxy.wait_for_event("reload.done", 60)
        self.assertEqual(held.hold(), 0)
        held.let_go(2)
        wait_until(lambda: held.hold() == 1)


class Requests(LimitsTest):
    RATE = 5

    def served(self, proxy, count, addresses=1):
        """How many of `count` requests to /stream get another answer than 429, and in what time."""
        begun = time.monotonic()
        served = 0
        for i in range(addresses):
            with proxy.connect() as client:
                forwarded = f"X-Forwarded-For: 192.0.2.{i + 1}\r\n"
                request = f"GET /stream HTTP/1.1\r\nHost: a.test\r\n{forwarded}\r\n"
                client.send(request.encode() * count)
                heads = [client.read_response() for _ in range(count)]
                served += sum(head.status == 400 for head in heads)
                refused = [head for head in heads if head.status != 400]
                if refused:
                    self.assert_limited(refused[0], "1")
        return served, time.monotonic() - begun

    def test_a_client_gets_as_many_requests_at_once_as_in_a_second(self):
        proxy = self.own_proxy(
            {"limits": {"per_client": {"requests": self.RATE}}, "admin": ADMIN}
        )
        served, time_taken = self.served(proxy, 40)
        self.assertGreaterEqual(served, self.RATE)
        self.assertLessEqual(served, self.RATE + time_taken * self.RATE + 1)
        self.assertEqual(proxy.ask("/health").status, 200)
        counted = metrics(admin_address(proxy))
        self.assertEqual(counted["streamgate_requests_rate_limited_total"], 40 - served)
        wait_until(lambda: self.served(proxy, 1)[0] == 1, what="the next request")

    def test_each_client_has_its_own_rate(self):
        proxy = self.own_proxy(
            {
                "trusted_proxies": ["127.0.0.1"],
                "client_address": "x-forwarded-for",
                "limits": {"per_client": {"requests": self.RATE}},
            }
        )
        served, _ = self.served(proxy, self.RATE, addresses=20)
        self.assertEqual(served, 20 * self.RATE)

    def test_the_rate_holds_over_workers_and_reloads(self):
        proxy = self.per_client(requests=self.RATE, workers=2)
        wait_until(lambda: len(proxy.events_named("worker.ready")) == 2)
        begun = time.monotonic()
        served = sum(self.served(proxy, 3)[0] for _ in range(10))
        proxy.reload({})
        # A worker that drains answers one request of a connection and closes it.
        wait_until(lambda: len(proxy.events_named("worker.left")) == 2)
        served += sum(self.served(proxy, 3)[0] for _ in range(5))
        time_taken = time.monotonic() - begun
        self.assertLessEqual(served, self.RATE + time_taken * self.RATE + 2)


class Bandwidth(LimitsTest):
    RATE = 512 * 1024
    BODY = 512 * 1024  # half of it comes in a burst of half a second

    def assert_limited_to(self, rate, size, begun):
        """At least the time that `size` bytes need, less a burst of half a second."""
        self.assertGreater(time.monotonic() - begun, size / rate - 0.6)

    def read(self, client, up, path="/a.ts", **parameters):
        client.request(stream_path(up.url(path), **parameters))
        response = client.read_response()
        self.assertEqual((response.status, len(response.body)), (200, self.BODY))
        self.assertTrue(response.complete)

    def test_a_stream_and_the_next_one_on_its_connection_share_the_rate(self):
        proxy = self.own_proxy(
            {
                "limits": {"per_client": {"bandwidth": f"{self.RATE // 1024}KiB"}},
                "admin": ADMIN,
                # So slow a client would be cut, if its limit counted as its own slowness.
                "client": {"min_rate": f"{2 * self.RATE}B", "min_rate_window": "1s"},
            }
        )
        up = self.upstream(ok(b"x" * self.BODY))
        with proxy.connect() as client:
            begun = time.monotonic()
            self.read(client, up)
            self.assert_limited_to(self.RATE, self.BODY, begun)
            self.read(client, up)
            self.assert_limited_to(self.RATE, 2 * self.BODY, begun)
        counted = metrics(admin_address(proxy))
        self.assertGreater(counted["streamgate_bytes_spliced_total"], self.BODY // 4)
        self.assertEqual(counted["streamgate_streams_throttled_total"], 2)

    def test_streams_of_several_workers_share_the_rate(self):
        proxy = self.per_client(bandwidth=f"{self.RATE // 1024}KiB", workers=2)
        up = self.upstream(ok(b"x" * self.BODY))
        clients = [proxy.connect() for _ in range(3)]
        begun = time.monotonic()
        for client in clients:
            self.addCleanup(client.close)
            client.request(stream_path(up.url("/a.ts")))
        for client in clients:
            self.assertEqual(len(client.read_response().body), self.BODY)
        self.assert_limited_to(self.RATE, 3 * self.BODY, begun)

    def test_short_bodies_are_limited_too(self):
        proxy = self.per_client(bandwidth="64KiB")
        up = self.upstream(ok(b"x" * 8192))
        begun = time.monotonic()
        for _ in range(16):
            self.assertEqual(len(proxy.stream(up.url("/a.ts")).body), 8192)
        self.assert_limited_to(65536, 15 * 8192, begun)

    def test_the_rate_holds_with_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            authority = Authority(folder)
            certificate, key = authority.issue_files("IP:127.0.0.1")
            tls = {"certificate": certificate, "key": key}
            proxy = self.own_proxy(
                {
                    "listen": [{"address": "127.0.0.1:0", "tls": tls}],
                    "limits": {"per_client": {"bandwidth": f"{self.RATE // 1024}KiB"}},
                },
                tls=authority.client_context(),
            )
            up = self.upstream(ok(b"x" * self.BODY))
            with proxy.connect() as client:
                begun = time.monotonic()
                self.read(client, up)
                self.assert_limited_to(self.RATE, self.BODY, begun)

    def test_the_claim_rate_is_the_rate_of_a_token(self):
        proxy = self.own_proxy(with_tokens())
        up = self.upstream(ok(b"x" * self.BODY))
        with proxy.connect() as client:
            begun = time.monotonic()
            self.read(client, up, sg_token=hs256(rate=self.RATE, jti="1"))
            self.assert_limited_to(self.RATE, self.BODY, begun)
            # On the same connection, a token without a limit.
            for _ in range(20):
                self.read(client, up, sg_token=hs256(jti="2"))


class Clients(LimitsTest):
    def rules(self, **clients):
        return {"security": {"allow_private": ["127.0.0.0/8"], "clients": clients}}

    def test_denied_clients_get_403_and_a_reload_takes_effect(self):
        up = self.upstream(ok(b"x"))
        proxy = self.own_proxy({**self.rules(deny=["127.0.0.0/8"]), "page": {"enabled": True}})
        self.assert_error(proxy.stream(up.url("/a")), 403, "client_forbidden")
        self.assert_error(proxy.ask("/"), 403, "client_forbidden")
        self.assertEqual(proxy.ask("/health").status, 200)
        self.assertEqual(up.connections, 0)
        proxy.reload(self.rules(deny=["192.0.2.1"]))
        proxy.wait_for_event("worker.left")
        self.assertEqual(proxy.stream(up.url("/a")).status, 200)

    def test_if_there_is_a_list_only_its_clients_are_served(self):
        up = self.upstream(ok(b"x"))
        settings = {
            "trusted_proxies": ["127.0.0.1"],
            "client_address": "x-forwarded-for",
            **self.rules(allow=["192.0.2.0/24", "2001:db8::/32"], deny=["192.0.2.7"]),
        }
        proxy = self.own_proxy(settings)

        def status(address):
            return proxy.stream(up.url("/a"), {"X-Forwarded-For": address}).status

        self.assertEqual(status("192.0.2.1"), 200)
        self.assertEqual(status("::ffff:192.0.2.1"), 200)
        self.assertEqual(status("2001:db8::1"), 200)
        self.assertEqual(status("192.0.2.7"), 403)
        self.assertEqual(status("::ffff:192.0.2.7"), 403)
        self.assertEqual(status("203.0.113.1"), 403)


if __name__ == "__main__":
    main()
