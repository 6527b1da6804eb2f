"""worker.died names the request that a worker was serving when it crashed or hung."""

import os
import re
import signal
import threading

from harness import ProxyTest, main, stream_path
from programs import POISONED
from upstream import Answer, ok

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(body):
    return b"%x\r\n%s\r\n" % (len(body), body)


class Poison(ProxyTest):
    def start(self, **settings):
        return self.own_proxy(
            {"log": {"access": "off"}, **settings},
            binary=POISONED,
            # Without this, a sanitizer reports the SIGSEGV.
            environment={"ASAN_OPTIONS": "handle_segv=0"},
        )

    def ask(self, proxy, path):
        """Sends a request and returns its connection, whose answer may never come."""
        client = proxy.connect()
        self.addCleanup(client.close)
        client.request(path)
        return client, "{}:{}".format(*client.socket.getsockname())

    def streams_under_way(self, proxy, count):
        """Streams of other clients, each with some body delivered."""
        self.goes_on = threading.Event()
        self.addCleanup(self.goes_on.set)
        up = self.upstream(
            lambda _: Answer(
                CHUNKED + chunk(b"first"), body=lambda: [chunk(b"more")], wait=self.goes_on
            )
        )
        for i in range(count):
            client, _ = self.ask(proxy, stream_path(up.url(f"/other{i}.ts?key=private")))
            self.assertEqual(client.read_head().status, 200)

    def assert_request(self, text, client, url, exchange_id="[0-9a-z]{13}"):
        self.assertRegex(text, f"^{re.escape(client)} id={exchange_id} GET {re.escape(url)}$")

    def test_a_crash_in_the_upstreams_head_names_the_request_with_its_secrets_masked(self):
        proxy = self.start()
        self.streams_under_way(proxy, 3)
        up = self.upstream(ok(b"x", {"X-Poison": "poison: crash"}))
        url = up.url("/a/list.m3u8?token=private")
        _, address = self.ask(proxy, stream_path(url))
        died = proxy.wait_for_event("worker.died")
        self.assertEqual(died["signal"], "SEGV")
        self.assert_request(died["request"], address, up.url("/a/list.m3u8?token=*"))
        self.assertEqual(died["step"], "await_head")
        self.assertNotIn("private", proxy.log())

    def test_a_hang_in_a_body_names_that_stream_among_others(self):
        proxy = self.start(watchdog_timeout="2s")
        self.streams_under_way(proxy, 3)
        reached = threading.Event()
        up = self.upstream(
            Answer(CHUNKED + chunk(b"first"), body=lambda: [chunk(b"poison: hang")], wait=reached)
        )
        client, address = self.ask(proxy, stream_path(up.url("/film.ts")))
        self.assertEqual(client.read_head().status, 200)
        self.streams_under_way(proxy, 2)  # these are served later
        reached.set()
        died = proxy.wait_for_event("worker.died", 20)
        self.assertEqual(died["signal"], "ABRT")
        self.assert_request(died["request"], address, up.url("/film.ts"))
        self.assertEqual(died["step"], "read_body")

    def test_a_crash_in_the_answer_of_an_alternative_names_the_alternative(self):
        proxy = self.start()
        up = self.upstream({"/b": ok(b"x", {"X-Poison": "poison: crash"})})
        alternative = up.url("/b?token=private")
        _, address = self.ask(proxy, stream_path(up.url("/a"), sg_alt=alternative))
        died = proxy.wait_for_event("worker.died")
        self.assert_request(died["request"], address, up.url("/b?token=*"))

    def test_a_crash_behind_a_redirect_names_the_url_that_the_client_asked_for(self):
        proxy = self.start()
        up = self.upstream(
            {
                "/first": Answer(
                    b"HTTP/1.1 302 Found\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n"
                ),
                "/second": ok(b"poison: crash"),
            }
        )
        self.ask(proxy, stream_path(up.url("/first")))
        died = proxy.wait_for_event("worker.died")
        self.assertTrue(died["request"].endswith(f" GET {up.url('/first')}"), died)

    def test_a_crash_in_a_clients_head_names_the_client(self):
        proxy = self.start()
        client = proxy.connect()
        self.addCleanup(client.close)
        client.send(b"GET /stream?url=http://a.example/ HTTP/1.1\r\nX: poison: crash\r\n\r\n")
        died = proxy.wait_for_event("worker.died")
        self.assertEqual(died["request"], "{}:{}".format(*client.socket.getsockname()))

    def test_a_death_between_requests_names_the_last_one_as_such(self):
        proxy = self.start(log={"access": "stderr"})
        up = self.upstream(ok(b"fine"))
        client, address = self.ask(proxy, stream_path(up.url("/fine.ts")))
        self.assertEqual(client.read_response("GET").body, b"fine")
        proxy.wait_for_access()
        os.kill(proxy.workers()[0], signal.SIGKILL)
        died = proxy.wait_for_event("worker.died")
        self.assertNotIn("request", died)
        self.assert_request(
            died["last_request"], address, up.url("/fine.ts"), proxy.access_log()[0]["id"]
        )


if __name__ == "__main__":
    main()
