"""Many requests beyond a limit: their answers wait, and hold nothing that other clients need."""

import time

from admin import ADMIN, admin_address, metrics
from harness import main, stream_path, wait_until
from limits_test_case import LimitsTest
from tokens import with_tokens
from upstream import ok

AT_ONCE = 100  # refusals that a worker answers without a pause
PER_SECOND = 500


class Refusals(LimitsTest):
    def refused_clients(self, proxy, target, count, each):
        """`count` clients that send `each` refused requests at once."""
        clients = []
        for _ in range(count):
            client = proxy.connect()
            self.addCleanup(client.close)
            head = f"GET {target} HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
            client.send(head.encode() * each)
            clients.append(client)
        return clients

    @staticmethod
    def gauge(address, name):
        return metrics(address)[f'streamgate_{name}{{worker="0"}}']

    def of_one_client(self, **limits):
        """A proxy where X-Forwarded-For names the client, who may send one request a second."""
        return {
            "client_address": "x-forwarded-for",
            "trusted_proxies": ["127.0.0.1"],
            "limits": {"per_client": {"requests": 1}, **limits},
        }

    def test_refusals_are_answered_at_a_rate_and_all_of_them(self):
        proxy = self.own_proxy(self.of_one_client())
        up = self.upstream(ok(b"x"))
        target = stream_path(up.url("/a"))
        begun = time.monotonic()
        clients = self.refused_clients(proxy, target, 20, 30)
        # Another client is served while they wait.
        self.assertEqual(proxy.stream(up.url("/a"), {"X-Forwarded-For": "192.0.2.2"}).status, 200)
        answers = [client.read_response() for client in clients for _ in range(30)]
        refused = [answer for answer in answers if answer.status == 429]
        self.assertGreater(len(refused), 580)
        least = (len(refused) - AT_ONCE) / PER_SECOND
        self.assertGreater(time.monotonic() - begun, least - 0.05)
        for answer in refused:
            self.assert_limited(answer, "1")
            self.assertIsNone(answer["Connection"])  # it stays open

    def test_a_refused_request_that_waits_is_no_stream(self):
        proxy = self.own_proxy({"limits": {"streams": 2}})
        held = self.held(proxy)
        self.assertEqual(held.hold(2), 2)
        clients = self.refused_clients(proxy, stream_path(held.up.url("/hold")), 200, 3)
        self.assert_error(clients[0].read_response(), 503, "overloaded")
        held.let_go(1)
        # The place is free for one of the first that ask.
        wait_until(
            lambda: sum(r.startswith("/hold") for r in held.up.targets()) == 3,
            what="another stream in the place of the one that ended",
        )

    def test_a_refused_request_that_waits_makes_room_for_another_client(self):
        proxy = self.own_proxy({**self.of_one_client(connections=30), "admin": ADMIN})
        up = self.upstream(ok(b"x"))
        clients = self.refused_clients(proxy, stream_path(up.url("/a")), 30, 40)
        address = admin_address(proxy)
        try:
            wait_until(lambda: self.gauge(address, "connections_idle") == 30, what="30 that wait")
        except AssertionError:
            self.skipTest(f"this machine refuses less than {PER_SECOND} requests a second")
        for number in range(10):
            other = proxy.connect()
            self.addCleanup(other.close)
            fields = {"X-Forwarded-For": f"192.0.2.{number + 10}"}
            other.request(stream_path(up.url("/a")), fields)
            self.assertEqual(other.read_response().status, 200)
        ended = 0
        for client in clients:
            answers = []
            while len(answers) < 40 and (answer := client.read_response()):
                answers.append(answer)
            self.assert_limited(answers[-1], "1")
            ended += len(answers) < 40
        self.assertEqual(ended, 10)
        counted = metrics(address)
        self.assertEqual(counted["streamgate_connections_displaced_total"], 10)
        self.assertEqual(counted["streamgate_connections_refused_total"], 0)

    def test_clients_that_leave_while_they_wait_are_forgotten(self):
        proxy = self.own_proxy({**self.of_one_client(), "admin": ADMIN})
        up = self.upstream(ok(b"x"))
        for client in self.refused_clients(proxy, stream_path(up.url("/a")), 20, 20):
            client.close()
        address = admin_address(proxy)
        wait_until(
            lambda: [self.gauge(address, name) for name in ("exchanges", "connections")] == [0, 0],
            what="the end of all requests",
        )
        self.assertEqual(proxy.stream(up.url("/a"), {"X-Forwarded-For": "192.0.2.9"}).status, 200)

    def test_requests_without_a_token_are_paced_too(self):
        proxy = self.own_proxy(with_tokens())
        begun = time.monotonic()
        clients = self.refused_clients(proxy, "/stream?url=http%3A%2F%2Fa.example%2F", 10, 30)
        answers = [client.read_response() for client in clients for _ in range(30)]
        self.assertEqual({answer.status for answer in answers}, {401})
        self.assertGreater(time.monotonic() - begun, (300 - AT_ONCE) / PER_SECOND - 0.05)


if __name__ == "__main__":
    main()
