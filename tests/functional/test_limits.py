"""Limits for clients, tokens and keys: limits.streams, limits.per_client, security.clients."""

import os
import re
import shutil
import signal
import tempfile
import threading
import time

from admin import ADMIN, admin_address, metrics
from certificates import Authority
from harness import BINARY, ProxyTest, link_target, main, stream_path, wait_until
from programs import NEXT, put
from tokens import KEY, OTHER, hs256, with_tokens
from upstream import Answer, ok, playlist, redirect


class Held:
    """Streams that stay open until they are closed."""

    def __init__(self, test, proxy, up):
        self.test, self.proxy, self.up = test, proxy, up
        self.clients = []

    def ask(self, target, headers=(), preface=b""):
        """Begins a stream, and returns the head of its answer."""
        client = self.proxy.connect()
        self.test.addCleanup(client.close)
        if preface:
            client.send(preface)
        client.request(target, headers)
        head = client.read_head()
        if head.status == 200:
            self.clients.append(client)
        else:
            client.close()
        return head

    def hold(self, count=1, path="/hold", **parameters):
        """Begins up to `count` streams; how many the proxy has served."""
        target = stream_path(self.up.url(path), **parameters)
        return sum(self.ask(target).status == 200 for _ in range(count))

    def hold_at_once(self, count):
        target = stream_path(self.up.url("/hold"))
        threads = [threading.Thread(target=self.ask, args=[target]) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.clients)

    def let_go(self, count=1):
        for _ in range(count):
            self.clients.pop().close()


class LimitsTest(ProxyTest):
    def upstream_that_holds(self):
        """/hold is a stream without an end, everything else a playlist of it."""
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

        def script(request):
            if not request.path.endswith("/hold"):
                return playlist("#EXTM3U\nhold\n")
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nfirst"
            return Answer(head, body=lambda: [b"later"], wait=self.gate)

        return self.upstream(script)

    def held(self, proxy):
        return Held(self, proxy, self.upstream_that_holds())

    def assert_limited(self, head, retry_after="5"):
        self.assertEqual(
            (head.status, head["X-Streamgate-Error"], head["Retry-After"]),
            (429, "rate_limited", retry_after),
        )

    def per_client(self, binary=BINARY, **limits):
        settings = {name: limits.pop(name) for name in ("workers", "drain") if name in limits}
        return self.own_proxy({"limits": {"per_client": limits}, **settings}, binary=binary)


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


class TokenLimits(LimitsTest):
    def test_the_claim_streams_counts_by_the_id_of_the_token(self):
        held = self.held(self.own_proxy(with_tokens()))
        seven, eight = hs256(jti="7", streams=2), hs256(jti="8", streams=2)
        self.assertEqual(held.hold(3, sg_token=seven), 2)
        self.assertEqual(held.hold(3, sg_token=eight), 2)
        # Another token with the same id is the same customer.
        again = hs256(jti="7", streams=2, nbf=1)
        refused = held.ask(stream_path(held.up.url("/hold"), sg_token=again))
        self.assert_limited(refused)
        self.assertEqual(held.hold(3, sg_token=hs256()), 3)

    def test_tokens_without_an_id_count_by_themselves(self):
        held = self.held(self.own_proxy(with_tokens()))
        one, other = hs256(streams=1), hs256(streams=1, nbf=1)
        self.assertEqual([held.hold(2, sg_token=token) for token in (one, other)], [1, 1])

    def test_the_links_of_a_playlist_count_with_their_token(self):
        proxy = self.own_proxy(with_tokens())
        held = self.held(proxy)
        for token in (hs256(jti="7", streams=2), hs256(streams=2)):
            listed = proxy.stream(held.up.url("/live/index.m3u8"), sg_token=token)
            target = link_target(listed.text.splitlines()[1])
            self.assertEqual(held.hold(1, path="/live/hold", sg_token=token), 1)
            self.assertEqual([held.ask(target).status for _ in range(3)], [200, 429, 429])
            self.assertEqual(held.hold(1, path="/live/hold", sg_token=token), 0)

    def test_a_key_has_limits_for_all_its_tokens_and_links(self):
        keys = [
            {**KEY, "limits": {"streams": 3}},
            {"id": "other", "algorithm": "HS256", "secret": OTHER},
        ]
        proxy = self.own_proxy(with_tokens(*keys))
        held = self.held(proxy)
        listed = proxy.stream(held.up.url("/live/index.m3u8"), sg_token=hs256(jti="1"))
        target = link_target(listed.text.splitlines()[1])
        self.assertEqual(held.hold(2, sg_token=hs256(jti="2")), 2)
        self.assertEqual([held.ask(target).status for _ in range(2)], [200, 429])
        self.assertEqual(held.hold(1, sg_token=hs256(jti="3")), 0)
        self.assertEqual(held.hold(5, sg_token=hs256(OTHER)), 5)

    def test_a_key_limits_requests(self):
        keys = [{**KEY, "limits": {"requests": 2}}]
        proxy = self.own_proxy(with_tokens(*keys))
        up = self.upstream(ok(b"x"))
        target = stream_path(up.url("/a"), sg_token=hs256())
        with proxy.connect() as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode() * 12)
            heads = [client.read_response() for _ in range(12)]
        refused = [head for head in heads if head.status == 429]
        self.assertGreaterEqual(len(heads) - len(refused), 2)
        self.assert_limited(refused[0], "1")

    def test_a_key_has_settings_for_its_upstream_hosts(self):
        keys = [
            {**KEY, "hosts": {"127.0.0.0/8": {"user_agent": "One/1", "headers": {"X-Key": "1"}}}},
            {"id": "other", "algorithm": "HS256", "secret": OTHER},
        ]
        settings = with_tokens(*keys)
        settings["upstream"] = {"hosts": {"127.0.0.0/8": {"user_agent": "All/1", "referer": "none"}}}
        proxy = self.own_proxy(settings)
        up = self.upstream(
            {
                "/live/index.m3u8": playlist("#EXTM3U\na.ts\n"),
                "/live/a.ts": redirect("/moved/a.ts"),
                "/moved/a.ts": ok(b"A"),
            }
        )
        for token, agent, header in (hs256(), "One/1", "1"), (hs256(OTHER), "All/1", None):
            listed = proxy.stream(up.url("/live/index.m3u8"), sg_token=token)
            target = link_target(listed.text.splitlines()[1])
            self.assertEqual(proxy.ask(target).body, b"A")
            for request in up.requests[-3:]:
                self.assertEqual((request["User-Agent"], request["X-Key"]), (agent, header))
                self.assertIsNone(request["Referer"])

    def test_the_same_id_of_two_keys_is_two_customers(self):
        keys = [KEY, {"id": "other", "algorithm": "HS256", "secret": OTHER}]
        held = self.held(self.own_proxy(with_tokens(*keys)))
        self.assertEqual(held.hold(2, sg_token=hs256(jti="7", streams=1)), 1)
        self.assertEqual(held.hold(2, sg_token=hs256(OTHER, jti="7", streams=1)), 1)


class Requests(LimitsTest):
    RATE = 5

    def served(self, proxy, count, addresses=1):
        """How many of `count` requests to /stream get another answer than 429, and in what time."""
        begun = time.monotonic()
        served = 0
        for i in range(addresses):
            with proxy.connect() as client:
                forwarded = f"X-Forwarded-For: 192.0.2.{i + 1}\r\n"
                client.send(f"GET /stream HTTP/1.1\r\nHost: a.test\r\n{forwarded}\r\n".encode() * count)
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


class Parameters(LimitsTest):
    LIST = "#EXTM3U\n#EXTINF:2,\n#EXTVLCOPT:http-user-agent=Box/1\na.ts\n#EXTINF:2,\nb.ts\n"

    def proxy_with(self, **parameters):
        return self.own_proxy(with_tokens(parameters=parameters))

    def upstream_with_list(self):
        return self.upstream(
            {
                "/live/list.m3u8": playlist(self.LIST),
                "/live/a.ts": ok(b"A"),
                "/live/b.ts": ok(b"B"),
            }
        )

    def assert_forbidden(self, response, reason="parameter_forbidden"):
        self.assert_error(response, 403, reason)

    def ask_link(self, proxy, link):
        return proxy.ask(link_target(link))

    def test_entries_may_not_have_a_forbidden_parameter(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(sg_live=False, sg_alt=False, headers=False)
        token = hs256()
        ask = lambda **more: proxy.stream(up.url("/live/b.ts"), sg_token=token, **more)
        self.assertEqual(ask().status, 200)
        self.assertEqual(ask(sg_live="0").status, 200)
        self.assert_forbidden(ask(sg_live="1"))
        self.assert_forbidden(ask(sg_alt=up.url("/live/a.ts")))
        self.assert_forbidden(ask(h_Cookie="a=b"))
        self.assert_forbidden(ask(referer="http://a.example/"))
        suffixed = proxy.stream(up.url("/live/b.ts|User-Agent=x"), sg_token=token)
        self.assert_forbidden(suffixed)
        # Userinfo is a part of the URL itself.
        with_user = up.url("/live/b.ts").replace("//", "//user:password@")
        self.assertEqual(proxy.stream(with_user, sg_token=token).status, 200)

    def test_each_parameter_has_a_rule_of_its_own(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(sg_live=False)
        token = hs256()
        ask = lambda **more: proxy.stream(up.url("/live/b.ts"), sg_token=token, **more)
        self.assertEqual(ask(sg_alt=up.url("/live/a.ts"), h_X="1").status, 200)
        self.assert_forbidden(ask(sg_live="1"))

    def test_links_keep_the_headers_of_their_playlist_and_get_no_others(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(headers=False, sg_live=False, sg_alt=False)
        listed = proxy.stream(up.url("/live/list.m3u8"), sg_token=hs256())
        own, plain = (line for line in listed.text.splitlines() if line and line[0] != "#")
        self.assertIn("h_User-Agent=", own)
        self.assertEqual(self.ask_link(proxy, own).body, b"A")
        self.assertEqual(up.requests[-1]["User-Agent"], "Box/1")
        self.assertEqual(self.ask_link(proxy, plain).body, b"B")
        for forged in (
            own.replace("Box", "Fox"),
            own + "&h_Cookie=x",
            re.sub("&h_User-Agent=[^&]*", "", own),
            plain + "&h_Cookie=x",
            plain + "&referer=http%3A%2F%2Fa.example%2F",
            plain.replace("http%3A%2F%2F", "http%3A%2F%2Fuser%3Apassword%40"),
        ):
            self.assert_forbidden(self.ask_link(proxy, forged), "token_invalid")
        self.assert_forbidden(self.ask_link(proxy, plain + "&sg_live=1"))
        self.assert_forbidden(self.ask_link(proxy, plain + "&sg_alt=" + "http%3A%2F%2Fa.example"))

    def test_links_inherit_what_userinfo_gave_their_playlist(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(headers=False)
        with_user = up.url("/live/list.m3u8").replace("//", "//user:password@")
        listed = proxy.stream(with_user, sg_token=hs256())
        for link, body in zip(
            (line for line in listed.text.splitlines() if line and line[0] != "#"), (b"A", b"B")
        ):
            self.assertEqual(self.ask_link(proxy, link).body, body)
            self.assertTrue(up.requests[-1]["Authorization"].startswith("Basic "))

    def test_links_with_variables_and_kinds_are_valid(self):
        up = self.upstream(
            {
                "/live/top.m3u8": playlist(
                    '#EXTM3U\n#EXT-X-DEFINE:NAME="v",VALUE="1"\n'
                    '#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json"\n'
                    "#EXT-X-STREAM-INF:BANDWIDTH=1\nlist.m3u8\n"
                ),
                "/live/steering.json": ok(b'{"VERSION":1}'),
                "/live/list.m3u8": playlist(self.LIST),
            }
        )
        proxy = self.proxy_with(headers=False)
        top = proxy.stream(up.url("/live/top.m3u8"), sg_token=hs256(), sg_max_height="720").text
        links = re.findall(r"http://[^\s\"]+", top)
        self.assertEqual(["sg_k=" in link for link in links], [True, False])
        self.assertEqual(["sg_v=" in link for link in links], [False, True])
        for link in links:
            self.assertEqual(self.ask_link(proxy, link).status, 200, link)

    def test_a_known_grant_with_headers_behind_it_is_invalid(self):
        up = self.upstream_with_list()
        proxy = self.proxy_with(headers=False)
        listed = proxy.stream(up.url("/live/list.m3u8"), sg_token=hs256())
        own = next(line for line in listed.text.splitlines() if line and line[0] != "#")
        self.assertEqual(self.ask_link(proxy, own).status, 200)
        headers = re.search("&h_User-Agent=[^&]*", own)[0]
        grant = re.search("&sg_grant=[^&]*", own)[0]
        behind = headers.replace("%", "%25").replace("&", "%26").replace("=", "%3D")
        forged = own.replace(headers, "").replace(grant, grant + behind)
        self.assert_forbidden(self.ask_link(proxy, forged), "token_invalid")

    def test_the_options_and_variables_of_a_link_are_no_headers(self):
        multivariant = (
            '#EXTM3U\n#EXT-X-DEFINE:NAME="a",VALUE="1"\n'
            "#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n"
        )
        up = self.upstream({"/live/m.m3u8": playlist(multivariant), "/live/v": ok(b"V")})
        proxy = self.proxy_with(headers=False)
        for options in ({}, {"sg_max_height": "720"}):
            listed = proxy.stream(up.url("/live/m.m3u8"), sg_token=hs256(), **options)
            link = listed.text.splitlines()[-1]
            self.assertIn("sg_v=", link)
            self.assertEqual(self.ask_link(proxy, link).body, b"V")
            self.assertEqual(self.ask_link(proxy, link + "&sg_max_bandwidth=1").body, b"V")

    def test_without_tokens_headers_cannot_be_forbidden(self):
        proxy = self.own_proxy()
        proxy.reload({"security": {"parameters": {"headers": False}}})
        failed = proxy.wait_for_event("config.problem")
        self.assertIn("needs security.auth: token", failed["problem"])


if __name__ == "__main__":
    main()
