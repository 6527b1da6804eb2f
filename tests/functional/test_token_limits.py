"""Limits for tokens and keys, and the settings of a key for its upstreams."""

import os
import signal

from harness import link_target, main, stream_path, wait_until
from limits_test_case import LimitsTest
from tokens import KEY, OTHER, hs256, with_tokens
from upstream import ok, playlist, redirect


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

    def test_the_limits_of_tokens_and_keys_hold_over_reloads_and_deaths(self):
        keys = [{**KEY, "limits": {"streams": 3}}]
        proxy = self.own_proxy({**with_tokens(*keys), "workers": 2, "drain": {"idle": "60s"}})
        wait_until(lambda: len(proxy.events_named("worker.ready")) == 2)
        held = self.held(proxy)
        one = hs256(jti="1", streams=2)
        self.assertEqual(held.hold(3, sg_token=one), 2)
        self.assertEqual(held.hold(3, sg_token=hs256(jti="2")), 1)
        proxy.reload(with_tokens(*keys))
        proxy.wait_for_event("reload.done")
        self.assertEqual(held.hold(2, sg_token=one), 0)
        self.assertEqual(held.hold(2, sg_token=hs256(jti="3")), 0)
        # A reload that changes the limit of the key counts the streams that run.
        proxy.reload(with_tokens({**KEY, "limits": {"streams": 4}}))
        wait_until(lambda: len(proxy.events_named("reload.done")) == 2)
        self.assertEqual(held.hold(3, sg_token=hs256(jti="3")), 1)
        for pid in proxy.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: held.hold(sg_token=one) == 1, what="a worker without the old counts")
        self.assertEqual(held.hold(3, sg_token=one), 1)
        self.assertEqual(held.hold(5, sg_token=hs256(jti="2")), 2)

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
        host = {"user_agent": "All/1", "referer": "none"}
        settings["upstream"] = {"hosts": {"127.0.0.0/8": host}}
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


if __name__ == "__main__":
    main()
