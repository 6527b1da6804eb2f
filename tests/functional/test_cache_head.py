"""A HEAD for an answer that is stored or under way has the fields of the GET, and costs nothing."""

import gzip
import signal
import threading
import time
from urllib.parse import quote

from admin import ADMIN, admin_address, ask, metrics
from harness import ProxyTest, main, stream_path, wait_until
from tokens import SECRET, hs256, soon
from transport_stream import group
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


class UnderWay(HeadTest):
    """An answer under way serves it too: it must not cost the only connection of an account."""

    ONE = {"max_connections": 1, "connect_timeout": "300ms"}
    FIRST = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: 1000\r\n%s\r\n"

    def begin(self, proxy, url, method="GET", headers=()):
        client = proxy.connect()
        self.addCleanup(client.close)
        client.request(stream_path(url), headers, method=method)
        return client

    def held(self, before, after, fields=b""):
        """An upstream whose answer comes in two parts."""
        gate = threading.Event()
        self.addCleanup(gate.set)
        whole = self.FIRST % fields + b"G" * 1000
        data, rest = (whole[:before], whole[before:]) if after is None else (b"", after)
        return self.upstream(lambda _: Answer(data, body=lambda: [rest], wait=gate)), gate

    def await_heads(self, proxy, count):
        def are_waiting():
            proxy.send_signal(signal.SIGUSR2)
            live = [e for e in proxy.events_named("exchange.live") if e["step"] == "await_head"]
            return len({e["client"] for e in live}) >= count

        wait_until(are_waiting, what=f"{count} requests without a head")

    def assert_shared(self, response, up, code=200):
        self.assertEqual((response.status, response[OUTCOME]), (code, "shared"))
        self.assertEqual((response.body, len(up.requests)), (b"", 1))

    def test_a_body_that_grows(self):
        up, gate = self.held(200, None, b"ETag: \"v\"\r\n")
        proxy = self.own_proxy({"workers": 2, "upstream": self.ONE})
        client = self.begin(proxy, up.url("/a"))
        whole = client.read_head()
        for _ in range(6):
            response = self.head(proxy, up.url("/a"))
            self.assert_shared(response, up)
            self.assertEqual(self.fields(response, ("connection",)), self.fields(whole))
        self.assertEqual(response["Content-Length"], "1000")
        self.assert_shared(self.head(proxy, up.url("/a"), {"Range": "bytes=5-9"}), up)
        self.assert_shared(self.head(proxy, up.url("/a"), {"If-None-Match": '"v"'}), up, 304)
        gate.set()
        client.read_body(whole)
        self.assertEqual(whole.body, b"G" * 1000)

    def test_a_head_that_has_not_come(self):
        for leaves in (False, True):
            with self.subTest(leaves=leaves):
                up, gate = self.held(0, None)
                proxy = self.own_proxy({"workers": 2, "upstream": self.ONE})
                first = self.begin(proxy, up.url("/a"))
                wait_until(lambda up=up: up.requests)
                heads = [self.begin(proxy, up.url("/a"), "HEAD") for _ in range(4)]
                self.await_heads(proxy, 5)
                if leaves:
                    first.reset()
                    wait_until(lambda p=proxy: p.access_log())
                gate.set()
                for client in heads:
                    self.assert_shared(client.read_response("HEAD"), up)
                if not leaves:
                    self.assertEqual(first.read_response().body, b"G" * 1000)

    def test_an_endless_body(self):
        stream = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + group(1)
        up = self.upstream(lambda _: Answer(stream, "stall"))
        proxy = self.own_proxy({"workers": 2, "upstream": self.ONE})
        viewer = self.begin(proxy, up.url("/tv"))
        whole = viewer.read_head()
        for headers in ((), {"Range": "bytes=0-"}, {"Range": "bytes=9-"},
                        {"If-None-Match": '"v"'}, (), ()):
            response = self.head(proxy, up.url("/tv"), headers)
            self.assert_shared(response, up)
            self.assertEqual(self.fields(response, ("connection", *FRAMING)),
                             self.fields(whole, FRAMING))
            self.assertIsNone(response["Content-Length"])
        self.assertFalse(up.answers[0].closed.is_set())

    def test_the_body_of_an_error_is_not_waited_for(self):
        broken_off = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\ngone"
        for size, outcome in ((9, "shared"), (9_999_999, "pass")):
            with self.subTest(outcome=outcome):
                up, gate = self.held(0, broken_off % size)
                proxy = self.own_proxy()
                first = self.begin(proxy, up.url("/a"))
                wait_until(lambda up=up: up.requests)
                client = self.begin(proxy, up.url("/a"), "HEAD")
                self.await_heads(proxy, 2)
                if outcome == "pass":  # it gets the answer to the GET, which is too long to share
                    first.reset()
                    wait_until(lambda p=proxy: p.access_log())
                gate.set()
                response = client.read_response("HEAD")
                self.assertEqual((response.status, response[OUTCOME]), (404, outcome))
                self.assertEqual(response["Content-Length"], str(size))
                wait_until(lambda p=proxy: "HEAD" in [e["method"] for e in p.access_log()])
                self.assertEqual([r.method for r in up.requests], ["GET"])

    def test_one_that_waits_gets_what_the_others_get(self):
        broken = b"nonsense\r\n\r\n"
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"
        private = self.FIRST % b"Cache-Control: private\r\n" + b"G" * 1000
        for answer, code, outcome, asked in (
            (broken, 502, None, ["GET"]),
            (missing, 404, "shared", ["GET"]),
            (private, 200, "pass", ["GET", "HEAD"]),
        ):
            with self.subTest(code=code, outcome=outcome):
                up, gate = self.held(0, answer)
                proxy = self.own_proxy()
                self.begin(proxy, up.url("/a"))
                wait_until(lambda up=up: up.requests)
                client = self.begin(proxy, up.url("/a"), "HEAD")
                self.await_heads(proxy, 2)
                gate.set()
                response = client.read_response("HEAD")
                self.assertEqual((response.status, response[OUTCOME]), (code, outcome))
                self.assertEqual([r.method for r in up.requests], asked)


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

    def test_a_stale_answer_does_not_serve_it(self):
        up = self.upstream(lambda _: ok(b"G", {"Cache-Control": "max-age=1"}))
        proxy = self.proxy()
        proxy.stream(up.url("/a"))
        time.sleep(1.1)
        self.assert_passes(self.head(proxy, up.url("/a")), up, 2)

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
