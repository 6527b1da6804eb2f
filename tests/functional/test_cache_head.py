"""A HEAD for an answer that is stored is answered from it, with the fields of the GET."""

import gzip
import threading
import time
from urllib.parse import quote

from admin import ADMIN, admin_address, ask, metrics
from harness import ProxyTest, main, stream_path
from tokens import SECRET, hs256, soon
from upstream import Answer, ok, playlist, status

LONG = {"Cache-Control": "max-age=600"}
CACHE = {"memory": "64MiB"}
OUTCOME = "X-Streamgate-Cache"
LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ns.ts\n"
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 200
MPD = b"<MPD><Period><BaseURL>http://a.example/v/</BaseURL></Period></MPD>"
# They differ for each answer.
OWN = ("x-streamgate-id", "x-streamgate-cache", "age", "date")
FRAMING = ("content-length", "transfer-encoding")


class HeadTest(ProxyTest):
    settings = {"cache": CACHE}

    def head(self, proxy, url, headers=(), **parameters):
        return proxy.ask(stream_path(url, **parameters), headers, method="HEAD")

    def stored(self, proxy, answer=None, path="/a.ts", headers=(), **parameters):
        """An upstream whose answer to a GET is stored."""
        answer = answer or ok(b"G" * 100, LONG, content_type="video/mp2t")
        up = self.upstream(lambda _: answer)
        for outcome in ("miss", "hit"):
            self.got = proxy.stream(up.url(path), headers, **parameters)
            self.assertEqual((self.got.status, self.got[OUTCOME]), (200, outcome))
        return up

    @staticmethod
    def fields(response, without=()):
        return [f for f in response.fields if f[0].lower() not in (*without, *OWN)]

    def assert_hit(self, response, up, code=200):
        self.assertEqual((response.status, response[OUTCOME]), (code, "hit"))
        self.assertEqual((response.body, len(up.requests)), (b"", 1))

    def assert_passes(self, response, up, count):
        self.assertEqual(response[OUTCOME], "pass")
        self.assertEqual(up.requests[-1].method, "HEAD")
        self.assertEqual(len(up.requests), count)


class Head(HeadTest):
    def test_it_has_the_fields_of_the_get(self):
        proxy = self.proxy()
        tagged = {**LONG, "ETag": '"v1"', "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}
        for path, answer in (
            ("/a.ts", ok(b"G" * 1000, tagged, content_type="video/mp2t")),
            ("/wrong", ok(MP4, LONG, content_type="text/plain")),  # the bytes show the type
            ("/a.ts", ok(MP4, LONG, content_type="video/mp2t")),
            ("/page", ok(b"<html>", LONG, content_type="text/html")),
            ("/large.bin", ok(b"x" * 300_000, LONG)),
            ("/empty", ok(b"", LONG)),
        ):
            with self.subTest(path=path):
                up = self.stored(proxy, answer, path)
                response = self.head(proxy, up.url(path))
                self.assert_hit(response, up)
                self.assertEqual(self.fields(response), self.fields(self.got))
                self.assertTrue(response["Age"])

    def test_that_of_a_document_has_no_length(self):
        proxy = self.proxy()
        coded = {**LONG, "Content-Encoding": "gzip"}
        for path, answer, parameters in (
            ("/i.m3u8", playlist(LIST, LONG), {}),
            ("/list", ok(LIST.encode(), LONG, content_type="text/plain"), {}),
            ("/i.m3u8", playlist(gzip.compress(LIST.encode()), coded), {}),
            ("/m.mpd", ok(MPD, LONG, content_type="application/dash+xml"), {}),
            ("/ads", ok(b'{"ASSETS":[]}', LONG, content_type="text/plain"), {"sg_k": "assets"}),
        ):
            with self.subTest(path=path, **parameters):
                up = self.stored(proxy, answer, path, **parameters)
                response = self.head(proxy, up.url(path), **parameters)
                self.assert_hit(response, up)
                self.assertEqual(self.fields(response), self.fields(self.got, FRAMING))

    def test_that_of_a_playlist_is_as_without_the_store(self):
        up = self.stored(self.proxy(), playlist(LIST, LONG), "/i.m3u8")
        response = self.head(self.proxy(), up.url("/i.m3u8"))
        self.assert_hit(response, up)
        relayed = self.head(self.own_proxy({"cache": {"memory": "0B"}}), up.url("/i.m3u8"))
        self.assertIsNone(relayed[OUTCOME])
        self.assertEqual(self.fields(response), self.fields(relayed))

    def test_conditions_count_and_a_range_does_not(self):
        proxy = self.proxy()
        answer = ok(b"G" * 100, {**LONG, "ETag": '"v1"'}, content_type="video/mp2t")
        up = self.stored(proxy, answer)
        url = up.url("/a.ts")
        self.assert_hit(self.head(proxy, url, {"If-None-Match": '"v1"'}), up, 304)
        self.assert_hit(self.head(proxy, url, {"If-None-Match": '"v2"'}), up)
        # RFC 9110 14.2: Range is defined for GET only.
        response = self.head(proxy, url, {"Range": "bytes=0-9"})
        self.assert_hit(response, up)
        self.assertEqual(response["Content-Length"], "100")
        self.assertIsNone(response["Content-Range"])

    def test_the_connection_stays_open(self):
        proxy = self.proxy()
        up = self.stored(proxy)
        client = proxy.connect()
        self.addCleanup(client.close)
        target = stream_path(up.url("/a.ts"))
        for method, body in (("HEAD", b""), ("GET", b"G" * 100), ("HEAD", b"")):
            client.request(target, method=method)
            response = client.read_response(method)
            self.assertEqual((response[OUTCOME], response.body), ("hit", body))
        self.assertEqual(len(up.requests), 1)

    def test_every_worker_answers(self):
        proxy = self.own_proxy({"workers": 2})
        up = self.stored(proxy)
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
        slow = Answer(head, body=lambda: [b"x"], wait=gate)
        others = self.upstream(lambda _: slow)
        clients = {}
        while len(clients) < 2:
            client = proxy.connect()
            self.addCleanup(client.close)
            client.request(stream_path(others.url("/slow")))
            clients[proxy.pid_serving(client)] = client
        gate.set()
        for client in clients.values():
            client.read_response()
            client.request(stream_path(up.url("/a.ts")), method="HEAD")
            self.assert_hit(client.read_response("HEAD"), up)

    def test_live_links_are_the_same_request(self):
        proxy = self.own_proxy({"upstream": {"reconnect": "always"}})
        up = self.stored(proxy)
        self.assert_hit(self.head(proxy, up.url("/a.ts")), up)

    def test_it_counts_as_a_hit_that_saved_no_body(self):
        proxy = self.own_proxy({"admin": ADMIN})
        up = self.stored(proxy)
        address = admin_address(proxy)
        before = metrics(address)
        self.assert_hit(self.head(proxy, up.url("/a.ts")), up)
        after = metrics(address)
        for name, more in (("hits", 1), ("bytes_saved", 0), ("passes", 0)):
            name = f"streamgate_cache_{name}_total"
            self.assertEqual(after[name] - before[name], more, name)
        entry = proxy.wait_for_access(3)
        self.assertEqual([entry[k] for k in ("method", "cache", "bytes", "attempts")],
                         ["HEAD", "hit", "0", "0"])


class Passes(HeadTest):
    def test_without_a_stored_answer_it_goes_upstream_and_stores_nothing(self):
        up = self.upstream(lambda _: ok(b"G" * 100, LONG, content_type="video/mp2t"))
        for count in (1, 2):
            self.assert_passes(self.head(self.proxy(), up.url("/a.ts")), up, count)
        self.assertEqual(self.proxy().stream(up.url("/a.ts"))[OUTCOME], "miss")

    def test_another_key_has_its_own_answer(self):
        proxy = self.proxy()
        up = self.stored(proxy)
        url = up.url("/a.ts")
        for count, (headers, parameters) in enumerate((
            ({"Accept": "video/mp4"}, {}),
            ({"Accept-Language": "de"}, {}),
            ({"Icy-MetaData": "1"}, {}),
            ({}, {"h_X-Key": "1"}),
            ({}, {"h_Authorization": "Basic eDp5"}),
            ({}, {"h_Cookie": "a=1"}),
            ({}, {"referer": "http://a.example/"}),
        ), 2):
            with self.subTest(headers=headers, **parameters):
                self.assert_passes(self.head(proxy, url, headers, **parameters), up, count)
        self.assert_passes(self.head(proxy, url + "?x"), up, count + 1)

    def test_an_answer_under_way_or_stale_does_not_serve_it(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nCache-Control: max-age=1\r\n\r\nfirst"

        def script(request):
            if request.method == "HEAD":
                return Answer(head.partition(b"first")[0])
            return Answer(head, body=lambda: [b"rest"], wait=gate)

        up = self.upstream(script)
        proxy = self.proxy()
        client = proxy.connect()
        self.addCleanup(client.close)
        client.request(stream_path(up.url("/a")))
        response = client.read_head()
        self.assert_passes(self.head(proxy, up.url("/a")), up, 2)
        gate.set()
        client.read_body(response)
        time.sleep(1.1)
        self.assert_passes(self.head(proxy, up.url("/a")), up, 3)

    def test_after_a_purge_it_goes_upstream(self):
        proxy = self.own_proxy({"admin": ADMIN})
        up = self.stored(proxy)
        target = "/purge?url=" + quote(up.url("/a.ts"), safe="")
        self.assertEqual(ask(admin_address(proxy), target, method="POST").status, 200)
        self.assert_passes(self.head(proxy, up.url("/a.ts")), up, 2)

    def test_a_head_that_passes_does_not_change_the_store(self):
        answers = {"GET": ok(b"G" * 100, LONG, content_type="video/mp2t"),
                   "HEAD": status(404)}
        up = self.upstream(lambda r: answers[r.method])
        proxy = self.proxy()
        self.assertEqual(self.head(proxy, up.url("/a.ts")).status, 404)
        self.assertEqual(proxy.stream(up.url("/a.ts")).body, b"G" * 100)
        self.assertEqual(self.head(proxy, up.url("/a.ts")).status, 200)
        self.assertEqual(proxy.stream(up.url("/a.ts"))[OUTCOME], "hit")


class Checks(HeadTest):
    """They come before the store is asked."""

    KEY = {"id": "site", "algorithm": "HS256", "secret": SECRET}

    def assert_refused(self, response, up, code, reason):
        self.assertEqual((response.status, response["X-Streamgate-Error"]), (code, reason))
        self.assertIsNone(response[OUTCOME])
        self.assertEqual(len(up.requests), 1)

    def test_tokens(self):
        security = {"allow_private": ["127.0.0.0/8"], "auth": "token", "keys": [self.KEY]}
        proxy = self.proxy(security=security)
        up = self.stored(proxy, sg_token=hs256())
        url = up.url("/a.ts")
        self.assert_hit(self.head(proxy, url, sg_token=hs256()), up)
        for token, code, reason in (
            (None, 401, "token_missing"),
            (hs256(exp=soon(-600)), 403, "token_expired"),
            (hs256("x" * 32), 403, "token_invalid"),
            (hs256(prefix=up.url("/b")), 403, "token_scope"),
            (hs256(ip="192.0.2.1"), 403, "token_client"),
        ):
            parameters = {"sg_token": token} if token else {}
            self.assert_refused(self.head(proxy, url, **parameters), up, code, reason)

    def test_hosts_of_a_key(self):
        other = {"id": "b", "algorithm": "HS256", "secret": "b" * 32, "allow": ["b.example"]}
        security = {"allow_private": ["127.0.0.0/8"], "auth": "token", "keys": [self.KEY, other]}
        proxy = self.proxy(security=security)
        up = self.stored(proxy, sg_token=hs256())
        refused = self.head(proxy, up.url("/a.ts"), sg_token=hs256("b" * 32))
        self.assert_refused(refused, up, 403, "token_scope")

    def test_limits(self):
        proxy = self.own_proxy({"limits": {"per_client": {"requests": 2}}})
        up = self.stored(proxy)
        answers = [self.head(proxy, up.url("/a.ts")) for _ in range(6)]
        refused = next(response for response in answers if response.status == 429)
        self.assert_refused(refused, up, 429, "rate_limited")

    def test_clients_and_scripts(self):
        security = {"allow_private": ["127.0.0.0/8"], "clients": {"deny": ["192.0.2.0/24"]}}
        proxy = self.proxy(client_address="x-forwarded-for", trusted_proxies=["127.0.0.1"],
                           security=security)
        client = {"X-Forwarded-For": "198.51.100.1"}
        up = self.stored(proxy, headers=client)
        url = up.url("/a.ts")
        self.assert_hit(self.head(proxy, url, client), up)
        denied = self.head(proxy, url, {"X-Forwarded-For": "192.0.2.1"})
        self.assert_refused(denied, up, 403, "client_forbidden")
        script = self.head(proxy, url, {**client, "Sec-Fetch-Dest": "script"})
        self.assert_refused(script, up, 403, "script_forbidden")


if __name__ == "__main__":
    main()
