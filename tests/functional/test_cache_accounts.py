"""A stream that lingers on an account with few connections: zapping back, and to other channels."""

import time

from harness import main, stream_path, wait_until
from live_viewers import LiveTest, stalled
from transport_stream import group
from upstream import redirect, status

OUTCOME = "X-Streamgate-Cache"


class Accounts(LiveTest):
    def account(self, limit=1, linger="60s", **settings):
        """A service for an account with that many connections."""
        cache = {"memory": "64MiB", "linger": linger}
        upstream = {"max_connections": limit, "connect_timeout": "20s",
                    "max_connections_by": "account"}
        return self.own_proxy({"cache": cache, "upstream": upstream, **settings})

    def provider(self, limit=1):
        """Answers 403 while it has that many streams. A channel is `/ann/pw/<number>.ts`."""
        self.streams = {}

        def script(request):
            # A connection that has just been closed is seen a moment later.
            open_now = [a for a in list(self.streams.values()) if not a.closed.is_set()]
            if len(open_now) >= limit and not open_now[0].closed.wait(1):
                return status(403)
            answer = stalled(group(int(request.path[-4])))
            self.streams[request.path] = answer
            return answer

        return self.upstream(script)

    def zap(self, proxy, up, channel):
        client = self.begin(proxy, up.url(f"/ann/pw/{channel}.ts"))
        self.assertEqual(self.read(client, len(group(channel))), group(channel))
        return client

    def leave(self, proxy, client):
        count = len(proxy.access_log())
        client.reset()
        wait_until(lambda: len(proxy.access_log()) > count)

    def test_zapping_back_finds_the_stream(self):
        up = self.provider()
        proxy = self.account()
        for outcome in ("miss", "shared", "shared"):
            client = self.zap(proxy, up, 1)
            self.assertEqual(client.head[OUTCOME], outcome)
            self.leave(proxy, client)
        self.assertEqual(len(up.requests), 1)
        self.assertFalse(self.streams["/ann/pw/1.ts"].closed.wait(0.5))

    def test_another_channel_gets_the_connection_whichever_worker_has_it(self):
        up = self.provider()
        proxy = self.account()
        pids = set()
        previous = None
        for number in range(40):
            channel = 1 + number % 2
            begun = time.monotonic()
            client = self.zap(proxy, up, channel)
            self.assertLess(time.monotonic() - begun, 5)
            self.assertEqual(client.head[OUTCOME], "miss")
            pid = proxy.pid_serving(client)
            if previous is not None:
                pids.add((previous, pid))
            previous = pid
            self.leave(proxy, client)
            if number >= 4 and {a == b for a, b in pids} == {True, False}:
                return
        self.fail(f"always the same way: {pids}")

    def test_a_stream_with_a_viewer_keeps_the_connection(self):
        up = self.provider()
        proxy = self.own_proxy({"upstream": {"max_connections": 1, "connect_timeout": "500ms"}})
        self.zap(proxy, up, 1)
        self.assert_error(proxy.stream(up.url("/ann/pw/2.ts")), 503, "upstream_busy")
        self.assertFalse(self.streams["/ann/pw/1.ts"].closed.is_set())

    def test_the_stream_that_was_left_first_ends_first(self):
        up = self.provider(2)
        proxy = self.account(2, workers=1)
        for channel in (1, 2):
            self.leave(proxy, self.zap(proxy, up, channel))
            time.sleep(0.3)
        self.zap(proxy, up, 3)
        self.assertTrue(self.streams["/ann/pw/1.ts"].closed.wait(5))
        self.assertFalse(self.streams["/ann/pw/2.ts"].closed.wait(0.5))
        self.assertEqual(self.zap(proxy, up, 2).head[OUTCOME], "shared")

    def test_other_accounts_do_not_end_it(self):
        up = self.provider(9)
        proxy = self.account()
        self.leave(proxy, self.zap(proxy, up, 1))
        first = self.streams["/ann/pw/1.ts"]
        for name in ("bob", "eve"):
            client = self.begin(proxy, up.url(f"/{name}/pw/2.ts"))
            self.read(client, len(group(2)))
        self.assertFalse(first.closed.wait(0.5))

    def test_other_requests_get_the_connection_too(self):
        up = self.provider()
        proxy = self.account()
        for headers, method in (({"Range": "bytes=9-"}, "GET"), ({}, "HEAD")):
            self.leave(proxy, self.zap(proxy, up, 1))
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(up.url("/ann/pw/2.ts")), headers, method=method)
            self.assertEqual(client.read_head().status, 200)
            self.assertTrue(up.answers[-2].closed.wait(5))
            client.reset()
            wait_until(lambda: all(a.closed.is_set() for a in up.answers))

    def test_behind_a_redirect_to_another_host_it_does_not_linger(self):
        # The provider counts the stream, and asks for the next channel before it closes this one.
        answers = []

        def edge_script(_):
            answers.append(stalled(group(1)))
            return answers[-1]

        edge = self.upstream(edge_script)
        panel = self.upstream(lambda r: redirect(edge.url("/token" + r.path)))
        for hosts in ({"localhost": {"max_connections": 1}},
                      {"localhost": {"max_connections": 1}, "127.0.0.1": {"max_connections": 1}}):
            proxy = self.own_proxy({"cache": {"memory": "64MiB", "linger": "60s"},
                                    "upstream": {"hosts": hosts}})
            client = self.begin(proxy, panel.url("/ann/pw/1.ts", host="localhost"))
            self.read(client, len(group(1)))
            client.reset()
            self.assertTrue(answers[-1].closed.wait(15))

    def test_where_nothing_is_counted_it_lingers_behind_a_redirect(self):
        answer = stalled(group(1))
        edge = self.upstream(lambda _: answer)
        panel = self.upstream(lambda r: redirect(edge.url(r.path)))
        proxy = self.own_proxy({"cache": {"memory": "64MiB", "linger": "60s"}})
        client = self.begin(proxy, panel.url("/1.ts"))
        self.read(client, len(group(1)))
        self.leave(proxy, client)
        self.assertEqual(self.begin(proxy, panel.url("/1.ts")).head[OUTCOME], "shared")
        self.assertFalse(answer.closed.is_set())


if __name__ == "__main__":
    main()
