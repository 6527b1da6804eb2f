"""A stored answer is checked and rewritten for each client as one of the upstream."""

import json
import threading
import zlib
from urllib.parse import quote, urlsplit

from harness import ProxyTest, main, stream_path
from tokens import OTHER, SECRET, hs256, soon
from upstream import Answer, ok, playlist

LONG = {"Cache-Control": "max-age=600"}
CACHE = {"memory": "64MiB"}
KEY = {"id": "site", "algorithm": "HS256", "secret": SECRET}
ALL = ["127.0.0.0/8"]
OUTCOME = "X-Streamgate-Cache"
MULTIVARIANT = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=100,RESOLUTION=640x360
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=300,RESOLUTION=1920x1080
high.m3u8
"""


class CacheTest(ProxyTest):
    settings = {"cache": CACHE}

    def stored(self, proxy, answer=None, path="/a.ts", headers=(), **parameters):
        """An upstream whose answer is stored."""
        up = self.upstream(lambda _: answer or ok(b"G" * 100, LONG, content_type="video/mp2t"))
        for outcome in ("miss", "hit"):
            response = proxy.stream(up.url(path), headers, **parameters)
            self.assertEqual((response.status, response[OUTCOME]), (200, outcome))
        return up

    def assert_refused(self, up, response, status, reason):
        self.assert_error(response, status, reason)
        self.assertIsNone(response[OUTCOME])
        self.assertEqual(len(up.requests), 1)


class Checks(CacheTest):
    def security(self, **more):
        return {"allow_private": ALL, "auth": "token", "keys": [KEY], **more}

    def test_tokens_come_first(self):
        proxy = self.proxy(security=self.security(keys=[KEY, {**KEY, "id": "b", "secret": OTHER}]))
        up = self.stored(proxy, sg_token=hs256())
        url = up.url("/a.ts")
        for token, status, reason in (
            (None, 401, "token_missing"),
            (hs256(exp=soon(-600)), 403, "token_expired"),
            (hs256("x" * 32), 403, "token_invalid"),
            (hs256(prefix=up.url("/b")), 403, "token_scope"),
            (hs256(ip="192.0.2.1"), 403, "token_client"),
        ):
            parameters = {"sg_token": token} if token else {}
            self.assert_refused(up, proxy.stream(url, **parameters), status, reason)
        # Tokens of two keys with the same rights share.
        self.assertEqual(proxy.stream(url, sg_token=hs256(OTHER))[OUTCOME], "hit")

    def test_grants_come_first_and_are_written_for_each_client(self):
        proxy = self.proxy(security=self.security())
        up = self.upstream(lambda r: playlist("#EXTM3U\n#EXTINF:4,\ns.ts\n", LONG)
                           if r.path.endswith("8") else ok(b"G", LONG, content_type="video/mp2t"))
        links = []
        for lifetime in (300, 600):
            response = proxy.stream(up.url("/d/i.m3u8"), sg_token=hs256(exp=soon(lifetime)))
            links.append(urlsplit(response.text.splitlines()[2]))
        self.assertEqual(response[OUTCOME], "hit")
        self.assertNotEqual(links[0].query, links[1].query)
        for link, outcome in zip(links, ("miss", "hit")):
            response = proxy.ask(f"{link.path}?{link.query}")
            self.assertEqual((response.status, response[OUTCOME]), (200, outcome))
        asked = len(up.requests)
        grant = links[0].query.replace("sg_grant=1.site.", "sg_grant=1.site.9")
        self.assert_error(proxy.ask(f"{link.path}?{grant}"), 403, "token_invalid")
        self.assert_error(proxy.stream(up.url("/d/s.ts")), 401, "token_missing")
        self.assertEqual(len(up.requests), asked)

    def test_keys_have_hosts_settings_and_limits_of_their_own(self):
        keys = [
            KEY,
            {"id": "b", "algorithm": "HS256", "secret": "b" * 32, "allow": ["b.example"]},
            {"id": "c", "algorithm": "HS256", "secret": "c" * 32,
             "hosts": {"127.0.0.0/8": {"headers": {"X-Key": "c"}}}},
            {"id": "d", "algorithm": "HS256", "secret": "d" * 32, "limits": {"requests": 1}},
        ]
        proxy = self.own_proxy({"security": self.security(keys=keys)})
        up = self.stored(proxy, sg_token=hs256())
        url = up.url("/a.ts")
        refused = proxy.stream(url, sg_token=hs256("b" * 32))
        self.assert_refused(up, refused, 403, "token_scope")
        answers = [proxy.stream(url, sg_token=hs256("d" * 32)) for _ in range(6)]
        self.assertEqual(answers[0][OUTCOME], "hit")
        self.assertIn(429, [response.status for response in answers])
        self.assertEqual(len(up.requests), 1)
        # Its fields go upstream, so it has a request of its own.
        self.assertEqual(proxy.stream(url, sg_token=hs256("c" * 32))[OUTCOME], "pass")
        self.assertEqual(up.requests[1]["X-Key"], "c")

    def test_limits_come_first(self):
        proxy = self.own_proxy({"limits": {"per_client": {"requests": 2}}})
        up = self.stored(proxy)
        answers = [proxy.stream(up.url("/a.ts")) for _ in range(6)]
        refused = next(response for response in answers if response.status == 429)
        self.assert_refused(up, refused, 429, "rate_limited")

    def test_streams_are_counted(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        for limits, status, reason in (
            ({"streams": 1}, 503, "overloaded"),
            ({"per_client": {"streams": 1}}, 429, "rate_limited"),
        ):
            proxy = self.own_proxy({"limits": limits})
            up = self.stored(proxy)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nfirst"
            slow = self.upstream(lambda _: Answer(head, body=lambda: [b"later"], wait=gate))
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(slow.url("/slow")))
            self.assertEqual(client.read_head().status, 200)
            self.assert_refused(up, proxy.stream(up.url("/a.ts")), status, reason)
            client.close()

    def test_clients_and_parameters_come_first(self):
        security = {"allow_private": ALL, "clients": {"deny": ["192.0.2.0/24"]},
                    "parameters": {"sg_alt": False}}
        proxy = self.proxy(client_address="x-forwarded-for", trusted_proxies=["127.0.0.1"],
                           security=security)
        up = self.stored(proxy, headers={"X-Forwarded-For": "198.51.100.1"})
        url = up.url("/a.ts")
        forbidden = proxy.stream(url, {"X-Forwarded-For": "192.0.2.1"})
        self.assert_refused(up, forbidden, 403, "client_forbidden")
        client = {"X-Forwarded-For": "198.51.100.2"}
        self.assertEqual(proxy.stream(url, client)[OUTCOME], "hit")
        self.assert_refused(up, proxy.stream(url, client, sg_alt=url), 403, "parameter_forbidden")
        script = proxy.stream(url, {**client, "Sec-Fetch-Dest": "script"})
        self.assert_refused(up, script, 403, "script_forbidden")


class Rewriting(CacheTest):
    def test_the_forms_of_links_share_and_each_gets_its_own(self):
        proxy = self.proxy()
        up = self.stored(proxy, playlist("#EXTM3U\n#EXTINF:4,\n/s.ts\n", LONG), "/d/i.m3u8")
        path = up.url("/d/i.m3u8").replace("http://", "/at/-/http/")
        responses = [proxy.ask(path), proxy.ask(f"/api/proxy{path}"),
                     proxy.stream(up.url("/d/i.m3u8"))]
        self.assertEqual([r[OUTCOME] for r in responses], ["hit"] * 3)
        self.assertEqual(len({r.text for r in responses}), 2)
        self.assertIn("/api/proxy/stream?url=", responses[1].text)
        proxy = self.proxy(hls={"child_urls": "path"})
        up = self.stored(proxy, playlist("#EXTM3U\n#EXTINF:4,\n/s.ts\n", LONG), "/d/i.m3u8")
        response = proxy.stream(up.url("/d/i.m3u8"))
        self.assertIn("/at/-/http/", response.text)
        self.assertEqual(len(up.requests), 1)

    def test_options_belong_to_the_link(self):
        proxy = self.proxy()
        up = self.stored(proxy, playlist(MULTIVARIANT, LONG), "/i.m3u8")
        whole = proxy.stream(up.url("/i.m3u8"))
        low = proxy.stream(up.url("/i.m3u8"), sg_max_height="400")
        self.assertEqual((whole[OUTCOME], low[OUTCOME]), ("hit", "hit"))
        self.assertEqual([r.text.count("#EXT-X-STREAM-INF") for r in (whole, low)], [2, 1])
        media = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ns.ts\n"
        up = self.stored(proxy, playlist(media, LONG), "/i.m3u8")
        direct = proxy.stream(up.url("/i.m3u8"), sg_segments="direct")
        self.assertIn("\n" + up.url("/s.ts"), direct.text)
        self.assertNotIn("\n" + up.url("/s.ts"), proxy.stream(up.url("/i.m3u8")).text)
        self.assertEqual(len(up.requests), 1)

    def test_the_coding_is_the_clients(self):
        text = "#EXTM3U\n" + "".join(f"#EXTINF:4,\nsegment-{i}.ts\n" for i in range(2000))
        proxy = self.proxy()
        up = self.stored(proxy, playlist(text, LONG), "/i.m3u8")
        plain = proxy.stream(up.url("/i.m3u8"))
        coded = proxy.stream(up.url("/i.m3u8"), {"Accept-Encoding": "gzip"})
        again = proxy.stream(up.url("/i.m3u8"))
        self.assertEqual([r["Content-Encoding"] for r in (plain, coded, again)],
                         [None, "gzip", None])
        self.assertTrue(zlib.decompress(coded.body, 31) == plain.body == again.body)
        self.assertEqual(len(up.requests), 1)

    def test_manifests_and_json_are_written_for_each_client(self):
        mpd = b"<MPD><Period><BaseURL>http://a.example/v/</BaseURL></Period></MPD>"
        assets = json.dumps({"ASSETS": [{"URI": "ad.m3u8", "DURATION": 1}]}).encode()
        proxy = self.proxy()
        for path, answer, parameters in (
            ("/m.mpd", ok(mpd, LONG, content_type="application/dash+xml"), {}),
            ("/l.json", ok(assets, LONG, content_type="application/json"), {"sg_k": "assets"}),
        ):
            up = self.stored(proxy, answer, path, **parameters)
            for host in ("one.example", "two.example"):
                response = proxy.stream(up.url(path), {"Host": host}, **parameters)
                self.assertEqual(response[OUTCOME], "hit")
                self.assertIn(f"http://{host}/", response.text)
            self.assertEqual(len(up.requests), 1)

    def test_types_and_cors_are_those_of_an_upstreams_answer(self):
        proxy = self.proxy()
        up = self.stored(proxy, ok(b"<html>", LONG, content_type="text/html"), "/p.html")
        response = proxy.stream(up.url("/p.html"), {"Origin": "http://a.example"})
        self.assertEqual(response["Content-Type"], "text/plain")
        self.assertIn("sandbox", response["Content-Security-Policy"])
        self.assertEqual(response["X-Content-Type-Options"], "nosniff")
        self.assertEqual(response["Access-Control-Allow-Origin"], "*")


class Reports(CacheTest):
    def test_what_players_report_does_not_separate_them_and_is_not_sent(self):
        proxy = self.proxy()
        up = self.upstream(lambda _: ok(b"G" * 100, LONG, content_type="video/mp2t"))
        url = up.url("/a.ts?k=v")
        target = stream_path(url)
        for number, asked in enumerate((
            target, f"{target}&CMCD=" + quote('sid="1",br=1'), f"{target}&CMCD=br%3D2",
            stream_path(up.url("/a.ts?CMCD=br%3D3&k=v")),
        )):
            reports = {"CMCD-Session": f'sid="{number}"', "X-Playback-Session-Id": str(number)}
            for headers in ({}, reports):
                self.assertEqual(proxy.ask(asked, headers).status, 200)
        self.assertEqual(up.targets(), ["/a.ts?k=v"])
        # A fetch of its own carries the report of the player.
        proxy.ask(f"{target}&CMCD=br%3D2", {**reports, "Range": "bytes=0-1", "Accept": "a/b"})
        self.assertEqual(up.targets()[1:], ["/a.ts?k=v&CMCD=br%3D2"])
        self.assertEqual(up.requests[1]["X-Playback-Session-Id"], "3")

    def test_another_parameter_with_a_similar_name_counts(self):
        proxy = self.proxy()
        up = self.upstream(lambda _: ok(b"G" * 100, LONG, content_type="video/mp2t"))
        for path in ("/a?XCMCD=1", "/a?XCMCD=2", "/CMCD=1", "/CMCD=2", "/a?x=1&CMCD=1", "/a?x=1"):
            proxy.stream(up.url(path))
        self.assertEqual(up.targets(), ["/a?XCMCD=1", "/a?XCMCD=2", "/CMCD=1", "/CMCD=2", "/a?x=1"])


if __name__ == "__main__":
    main()
