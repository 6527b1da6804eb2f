"""Requests for the same thing at the same time make one upstream request, on any worker."""

import random
import signal
import threading

from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer, chunked, ok, playlist, status

CONTENT = random.Random(7).randbytes(1_500_003)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: %d\r\n\r\n"
CACHE = {"memory": "64MiB"}


def in_two_parts(gate, content=CONTENT, first=100_000, head=HEAD):
    """The first part at once, the rest when the gate opens."""
    return Answer(
        head % len(content) + content[:first], body=lambda: [content[first:]], wait=gate
    )


class Sharing(ProxyTest):
    settings = {"cache": CACHE, "workers": 2}

    def open_clients(self, proxy, url, count, headers=()):
        clients = []
        for _ in range(count):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(url), headers)
            clients.append(client)
        return clients

    def test_clients_of_all_workers_share_one_request(self):
        gate = threading.Event()
        up = self.upstream(lambda _: in_two_parts(gate))
        proxy = self.own_proxy()
        clients = self.open_clients(proxy, up.url("/a.ts"), 20)
        responses = [client.read_head() for client in clients]
        self.assertEqual([r.status for r in responses], [200] * 20)
        self.assertEqual(len(up.requests), 1)
        outcomes = sorted(r["X-Streamgate-Cache"] for r in responses)
        self.assertEqual(outcomes, ["miss"] + ["shared"] * 19)
        # The bytes come as they arrive.
        for client in clients:
            wait_until(lambda c=client: len(c.pending) >= 100_000 or not c.receive_more())
        gate.set()
        for client, response in zip(clients, responses):
            client.read_body(response)
            self.assertTrue(response.complete)
            self.assertTrue(response.body == CONTENT)
        self.assertEqual(len(up.requests), 1)
        entries = [proxy.wait_for_access(i + 1) for i in range(20)]
        self.assertEqual(sorted(e["cache"] for e in entries), outcomes)
        self.assertEqual({e["bytes"] for e in entries}, {str(len(CONTENT))})

    def test_the_first_client_may_leave(self):
        gate = threading.Event()
        up = self.upstream(lambda _: in_two_parts(gate))
        proxy = self.proxy()
        first = self.open_clients(proxy, up.url("/a.ts"), 1)[0]
        self.assertEqual(first.read_head()["X-Streamgate-Cache"], "miss")
        others = self.open_clients(proxy, up.url("/a.ts"), 6)
        responses = [client.read_head() for client in others]
        self.assertEqual({r["X-Streamgate-Cache"] for r in responses}, {"shared"})
        first.reset()
        wait_until(lambda: any(e["reason"] == "client_gone" for e in proxy.access_log()))
        gate.set()
        for client, response in zip(others, responses):
            client.read_body(response)
            self.assertTrue(response.body == CONTENT)
        self.assertEqual(len(up.requests), 1)

    def test_the_last_client_that_leaves_ends_the_request(self):
        answer = Answer(HEAD % len(CONTENT) + CONTENT[:1000], then="stall")
        up = self.upstream(lambda _: answer)
        clients = self.open_clients(self.proxy(), up.url("/a.ts"), 6)
        for client in clients:
            self.assertEqual(client.read_head().status, 200)
        for client in clients[:-1]:
            client.reset()
        self.assertFalse(answer.closed.wait(0.3))
        clients[-1].reset()
        self.assertTrue(answer.closed.wait(10))
        self.assertEqual(len(up.requests), 1)

    def test_a_slow_client_does_not_hold_the_others(self):
        up = self.upstream(lambda _: ok(CONTENT * 4, content_type="video/mp2t"))
        proxy = self.proxy()
        slow = proxy.connect(receive_buffer=4096)
        self.addCleanup(slow.close)
        slow.request(stream_path(up.url("/a.ts")))
        wait_until(lambda: up.requests)
        response = proxy.stream(up.url("/a.ts"))
        self.assertTrue(response.body == CONTENT * 4)
        self.assertEqual(len(up.requests), 1)
        whole = slow.read_response()
        self.assertTrue(whole.body == CONTENT * 4)

    def test_an_error_of_the_upstream_is_shared_by_those_who_wait_only(self):
        gate = threading.Event()

        def script(_):
            gate.wait(10)
            return status(404, body=b"gone")

        up = self.upstream(script)
        proxy = self.proxy()
        clients = self.open_clients(proxy, up.url("/a.ts"), 8)
        wait_until(lambda: up.requests)
        self.await_clients(proxy, 8)
        gate.set()
        for client in clients:
            response = client.read_response()
            self.assertEqual((response.status, response.body), (404, b"gone"))
        self.assertEqual(len(up.requests), 1)
        self.assertEqual(proxy.stream(up.url("/a.ts")).status, 404)
        self.assertEqual(len(up.requests), 2)

    def test_a_failure_is_shared_by_those_who_wait_only(self):
        gate = threading.Event()

        def script(_):
            gate.wait(10)
            return Answer(b"nonsense\r\n\r\n", then="close")

        up = self.upstream(script)
        proxy = self.proxy()
        clients = self.open_clients(proxy, up.url("/a.ts"), 8)
        wait_until(lambda: up.requests)
        self.await_clients(proxy, 8)
        gate.set()
        for client in clients:
            self.assert_error(client.read_response(), 502, "bad_response")
        self.assertEqual(len(up.requests), 1)
        self.assert_error(proxy.stream(up.url("/a.ts")), 502, "bad_response")
        self.assertEqual(len(up.requests), 2)

    def test_a_truncated_body_is_cut_for_all_and_not_stored(self):
        gate = threading.Event()
        up = self.upstream(
            [
                Answer(
                    HEAD % len(CONTENT) + CONTENT[:5000],
                    then="reset",
                    wait=gate,
                ),
                ok(CONTENT, content_type="video/mp2t"),
            ]
        )
        proxy = self.proxy()
        clients = self.open_clients(proxy, up.url("/a.ts"), 6)
        heads = [client.read_head() for client in clients]
        gate.set()
        for client, response in zip(clients, heads):
            client.read_body(response)
            self.assertFalse(response.complete)
            self.assertTrue(CONTENT.startswith(response.body))
        self.assertEqual(len(up.requests), 1)
        response = proxy.stream(up.url("/a.ts"))
        self.assertEqual(response["X-Streamgate-Cache"], "miss")
        self.assertTrue(response.body == CONTENT)

    def test_a_truncated_body_is_resumed_for_all(self):
        gate = threading.Event()
        tagged = HEAD.replace(b"\r\n\r\n", b'\r\nETag: "v1"\r\n\r\n')

        def script(request):
            if not request["Range"]:
                return Answer(tagged % len(CONTENT) + CONTENT[:5000], then="close", wait=gate)
            begin = int(request["Range"].removeprefix("bytes=").partition("-")[0])
            rest = CONTENT[begin:]
            last = len(CONTENT) - 1
            fields = {"ETag": '"v1"', "Content-Range": f"bytes {begin}-{last}/{len(CONTENT)}"}
            return status(206, fields, rest)

        up = self.upstream(script)
        clients = self.open_clients(self.proxy(), up.url("/a.ts"), 6)
        heads = [client.read_head() for client in clients]
        gate.set()
        for client, response in zip(clients, heads):
            client.read_body(response)
            self.assertTrue(response.complete)
            self.assertTrue(response.body == CONTENT)
        self.assertEqual([r["Range"] is None for r in up.requests], [True, False])

    def await_clients(self, proxy, count):
        """Waits until that many clients of this test wait for a head."""

        def waiting():
            proxy.send_signal(signal.SIGUSR2)
            live = [e for e in proxy.events_named("exchange.live") if e["step"] == "await_head"]
            return len({e["client"] for e in live} - self.seen_before) >= count

        wait_until(waiting, what=f"{count} waiting clients")
        self.seen_before |= {e["client"] for e in proxy.events_named("exchange.live")}

    def setUp(self):
        self.seen_before = set()

    # --- what is not shared

    def assert_not_shared(self, script, headers=(), path="/a.ts", requests=3, **parameters):
        up = self.upstream(script)
        proxy = self.proxy()
        for _ in range(3):
            response = proxy.stream(up.url(path), headers, **parameters)
            self.assertEqual(response.status, 200)
            self.assertEqual(response["X-Streamgate-Cache"], "pass")
        self.assertEqual(len(up.requests), requests)
        return up

    def test_answers_that_the_upstream_keeps_private_are_not_shared(self):
        for field in (
            ("Cache-Control", "no-store"),
            ("Cache-Control", "max-age=60, private"),
            ("Cache-Control", 'private="Set-Cookie", max-age=60'),
            ("Cache-Control", "PRIVATE"),
            ("Vary", "Cookie"),
            ("Vary", "*"),
            ("Vary", "Accept-Encoding, User-Agent"),
        ):
            with self.subTest(field=field):
                self.assert_not_shared(lambda _, f=field: ok(b"x" * 100, [f]))

    def test_of_several_waiting_clients_each_gets_its_own_private_answer(self):
        gate = threading.Event()
        numbers = iter(range(100))

        def script(_):
            gate.wait(10)
            return ok(b"secret %d" % next(numbers), {"Cache-Control": "private"})

        up = self.upstream(script)
        proxy = self.proxy()
        clients = self.open_clients(proxy, up.url("/a.ts"), 8)
        wait_until(lambda: up.requests)
        self.await_clients(proxy, 8)
        self.assertEqual(len(up.requests), 1)
        gate.set()
        bodies = [client.read_response().body for client in clients]
        self.assertEqual(len(set(bodies)), 8)
        self.assertEqual(len(up.requests), 8)

    def test_behind_a_private_redirect_each_client_has_its_own_answer(self):
        for says in ({"Cache-Control": "private"}, {"Cache-Control": "no-store"},
                     {"Vary": "Cookie"}):
            with self.subTest(redirect=says):
                gate, numbers = threading.Event(), iter(range(100))

                def script(request, gate=gate, numbers=numbers, says=says):
                    if request.path == "/latest":
                        gate.wait(10)
                        return status(302, {"Location": f"/session/{next(numbers)}.ts", **says})
                    return ok(request.path.encode(), content_type="video/mp2t")

                up = self.upstream(script)
                proxy = self.proxy()
                clients = self.open_clients(proxy, up.url("/latest"), 8)
                wait_until(lambda up=up: up.requests)
                self.await_clients(proxy, 8)
                gate.set()
                bodies = [client.read_response().body for client in clients]
                self.assertEqual(len(set(bodies)), 8, bodies)

    def test_a_private_redirect_of_a_listed_host_does_not_count(self):
        gate = threading.Event()

        def script(request):
            if request.path == "/latest":
                gate.wait(10)
                return status(302, {"Location": "/1.ts", "Cache-Control": "no-store"})
            return ok(b"shared", content_type="video/mp2t")

        up = self.upstream(script)
        proxy = self.proxy(cache={**CACHE, "ignore_no_store": ["127.0.0.1"]})
        clients = self.open_clients(proxy, up.url("/latest"), 8)
        self.await_clients(proxy, 8)
        gate.set()
        self.assertEqual({client.read_response().body for client in clients}, {b"shared"})
        self.assertEqual(up.targets(), ["/latest", "/1.ts"])

    def test_a_playlist_that_sets_cookies_is_not_shared(self):
        text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nchild.m3u8\n"
        up = self.assert_not_shared(
            lambda r: playlist(text, {"Set-Cookie": "session=1"}), path="/a.m3u8"
        )
        self.assertEqual(len(up.requests), 3)

    def test_requests_with_secrets_of_their_own_are_not_shared(self):
        for parameters in ({"h_Authorization": "Basic eDp5"}, {"h_Cookie": "a=1"}):
            with self.subTest(parameters=parameters):
                self.assert_not_shared(lambda _: ok(b"x" * 100), **parameters)
        up = self.upstream(ok(b"x" * 100))
        url = up.url("/a.ts").replace("//", "//user:word@")
        for _ in range(2):
            self.assertEqual(self.proxy().stream(url)["X-Streamgate-Cache"], "pass")
        self.assertEqual(len(up.requests), 2)

    def test_other_requests_pass(self):
        self.assert_not_shared(lambda _: ok(b"x" * 100), {"Icy-MetaData": "1"})
        up = self.upstream(ok(b"x" * 100))
        for _ in range(2):
            response = self.proxy().stream(up.url("/a.ts"), method="HEAD")
            self.assertEqual(response["X-Streamgate-Cache"], "pass")
        self.assertEqual(len(up.requests), 2)

    def test_a_body_without_a_length_is_relayed_as_it_comes(self):
        gate = threading.Event()
        up = self.upstream(
            lambda _: Answer(
                b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\nfirst",
                body=lambda: [b"later"],
                wait=gate,
                then="close",
            )
        )
        client = self.open_clients(self.proxy(), up.url("/a.ts"), 1)[0]
        response = client.read_head()
        self.assertEqual(response["X-Streamgate-Cache"], "pass")
        wait_until(lambda: b"first" in client.pending or not client.receive_more())
        gate.set()
        client.read_body(response)
        self.assertEqual((response.body, len(up.requests)), (b"firstlater", 1))

    def test_a_body_that_is_too_long_is_relayed(self):
        body = b"x" * (17 << 20)
        up = self.upstream(lambda _: ok(body, content_type="video/mp2t"))
        response = self.proxy().stream(up.url("/a.ts"))
        self.assertEqual((response["X-Streamgate-Cache"], len(up.requests)), ("pass", 1))
        self.assertTrue(response.body == body)

    def test_a_playlist_without_a_length_is_shared(self):
        text = b"#EXTM3U\n#EXTINF:4,\nseg1.ts\n"
        up = self.upstream(lambda _: chunked(text, content_type="application/x-mpegurl"))
        proxy = self.proxy()
        first = proxy.stream(up.url("/a.m3u8"))
        second = proxy.stream(up.url("/a.m3u8"))
        self.assertEqual((first.body, len(up.requests)), (second.body, 1))
        self.assertIn(b"seg1.ts", first.body)
        self.assertEqual(second["X-Streamgate-Cache"], "hit")

    def test_a_long_list_without_a_length_arrives_whole(self):
        channel = b"#EXTINF:-1,channel %d\nhttp://a.example/%d\n"
        lines = b"".join(channel % (i, i) for i in range(20_000))
        text = b"#EXTM3U\n" + lines
        up = self.upstream(lambda _: chunked(text, content_type="audio/x-mpegurl", size=30_000))
        proxy = self.proxy()
        for _ in range(2):
            response = proxy.stream(up.url("/list.m3u"))
            self.assertTrue(response.complete)
            self.assertEqual(response.text.count("#EXTINF"), 20_000)
        self.assertEqual(len(up.requests), 2)


class BlockingReloads(ProxyTest):
    """Low-latency HLS (RFC 8216bis 6.2.5.2): the upstream holds one request for all players."""

    settings = {"cache": CACHE, "workers": 2}
    TEXT = (
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n"
        "#EXT-X-PART-INF:PART-TARGET=1\n#EXT-X-PART:DURATION=1,URI=\"p{}.mp4\"\n"
    )

    def held_upstream(self):
        gates = {}

        def script(request):
            whole = playlist(self.TEXT.format(request.target.rpartition("=")[2]))
            gate = gates.setdefault(request.target, threading.Event())
            return Answer(body=lambda: [whole.data], wait=gate)

        up = self.upstream(script)
        self.addCleanup(lambda: [gate.set() for gate in gates.values()])
        return up, gates

    def reload(self, proxy, up, count, part):
        target = stream_path(up.url("/i.m3u8")) + f"&_HLS_msn=7&_HLS_part={part}"
        clients = []
        for _ in range(count):
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(target)
            clients.append(client)
        return clients

    def await_heads(self, proxy, count):
        def waiting():
            proxy.send_signal(signal.SIGUSR2)
            live = [e for e in proxy.events_named("exchange.live") if e["step"] == "await_head"]
            return len({e["client"] for e in live}) >= count

        wait_until(waiting, what=f"{count} blocked players")

    def test_a_hundred_players_are_one_request(self):
        up, gates = self.held_upstream()
        proxy = self.own_proxy()
        clients = self.reload(proxy, up, 100, 3)
        self.await_heads(proxy, 100)
        wait_until(lambda: up.requests)
        self.assertEqual(up.targets(), ["/i.m3u8?_HLS_msn=7&_HLS_part=3"])
        gates[up.targets()[0]].set()
        responses = [client.read_response() for client in clients]
        self.assertEqual({r.status for r in responses}, {200})
        self.assertEqual(len({r.text for r in responses}), 1)
        self.assertIn("p3.mp4", responses[0].text)
        outcomes = sorted(r["X-Streamgate-Cache"] for r in responses)
        self.assertEqual(outcomes, ["miss"] + ["shared"] * 99)
        self.assertEqual(len(up.requests), 1)

    def test_the_time_that_the_upstream_holds_it_is_no_age(self):
        # A player that asks a moment later than the others costs no request of its own.
        held = playlist(self.TEXT.format(3), {"Cache-Control": "max-age=3"})
        held.delay = 3.2
        up = self.upstream(lambda _: held)
        proxy = self.own_proxy()
        for outcome in ("miss", "hit"):
            response = self.reload(proxy, up, 1, 3)[0].read_response()
            self.assertEqual((response["X-Streamgate-Cache"], len(up.requests)), (outcome, 1))
        # Any other request counts from its beginning (RFC 9111 4.2.3).
        url = up.url("/i.m3u8")
        self.assertEqual([proxy.stream(url)["X-Streamgate-Cache"] for _ in range(2)], ["miss"] * 2)

    def test_other_directives_are_other_requests(self):
        up, gates = self.held_upstream()
        proxy = self.own_proxy()
        clients = self.reload(proxy, up, 6, 1) + self.reload(proxy, up, 6, 2)
        self.await_heads(proxy, 12)
        wait_until(lambda: len(up.requests) >= 2)
        expected = [f"/i.m3u8?_HLS_msn=7&_HLS_part={i}" for i in (1, 2)]
        self.assertEqual(sorted(up.targets()), expected)
        # The later part does not wait for the earlier one.
        gates["/i.m3u8?_HLS_msn=7&_HLS_part=2"].set()
        for client in clients[6:]:
            self.assertIn("p2.mp4", client.read_response().text)
        gates["/i.m3u8?_HLS_msn=7&_HLS_part=1"].set()
        for client in clients[:6]:
            self.assertIn("p1.mp4", client.read_response().text)
        self.assertEqual(len(up.requests), 2)

    def test_players_that_leave_do_not_end_the_request_of_the_others(self):
        up, gates = self.held_upstream()
        proxy = self.own_proxy()
        clients = self.reload(proxy, up, 20, 3)
        self.await_heads(proxy, 20)
        wait_until(lambda: up.requests)
        for client in clients[:19]:
            client.reset()
        wait_until(lambda: len(proxy.access_log()) == 19, what="players that left")
        gates[up.targets()[0]].set()
        self.assertIn("p3.mp4", clients[19].read_response().text)
        self.assertEqual(len(up.requests), 1)

    def test_the_request_has_the_time_limit_of_a_blocking_one(self):
        up, gates = self.held_upstream()
        proxy = self.own_proxy(
            {"upstream": {"first_byte_timeout": "200ms", "blocking_timeout": "20s"}}
        )
        url = up.url("/i.m3u8?_HLS_msn=7&_HLS_part=3")
        # The same URL, but the proxy is not told that it blocks.
        self.assert_error(proxy.stream(url), 504, "first_byte_timeout")
        client = self.reload(proxy, up, 1, 3)[0]
        self.await_heads(proxy, 1)
        self.assert_error(proxy.stream(url), 504, "first_byte_timeout")
        wait_until(lambda: len(up.requests) == 3)
        gates[up.targets()[0]].set()
        self.assertIn("p3.mp4", client.read_response().text)


if __name__ == "__main__":
    main()
