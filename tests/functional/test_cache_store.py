"""What is stored, for how long, and for whom: RFC 9111, ranges, conditions, keys and rules."""

import itertools
import random
import time

from admin import ADMIN, admin_address, ask_json, metrics
from harness import ProxyTest, main, wait_until
from upstream import Answer, ok, playlist, redirect, status

CONTENT = random.Random(8).randbytes(700_001)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LONG = {"Cache-Control": "max-age=600"}


class Store(ProxyTest):
    settings = {"cache": {"memory": "64MiB", "playlist_age": "1h", "segment_age": "1h"}}

    def numbered(self, headers=(), content_type="video/mp2t"):
        """An upstream whose answers differ from each other."""
        numbers = itertools.count(1)
        return self.upstream(
            lambda _: ok(b"\x47%d" % next(numbers), headers, content_type=content_type)
        )

    def bodies(self, up, count=2, headers=(), path="/a.ts", **parameters):
        proxy = self.proxy()
        return [
            proxy.stream(up.url(path), headers, **parameters).body.decode()[1:]
            for _ in range(count)
        ]

    def test_an_answer_is_stored(self):
        up = self.upstream(lambda _: ok(CONTENT, LONG, content_type="video/mp2t"))
        proxy = self.proxy()
        first = proxy.stream(up.url("/a.ts"))
        second = proxy.stream(up.url("/a.ts"))
        outcomes = [response["X-Streamgate-Cache"] for response in (first, second)]
        self.assertEqual(outcomes, ["miss", "hit"])
        self.assertTrue(first.body == second.body == CONTENT)
        self.assertIsNone(first["Age"])
        self.assertEqual(second["Age"], "0")
        changed = ("Age", "X-Streamgate-Cache", "X-Streamgate-Id")
        same = [field for field in second.fields if field[0] not in changed]
        self.assertEqual(
            same, [f for f in first.fields if f[0] not in ("X-Streamgate-Cache", "X-Streamgate-Id")]
        )
        self.assertEqual(len(up.requests), 1)
        entry = proxy.wait_for_access(2)
        self.assertEqual((entry["cache"], entry["attempts"], entry["status"]), ("hit", "0", "200"))
        self.assertEqual(entry["upstream"], up.url("/a.ts"))

    def test_the_upstream_decides_how_long(self):
        for headers, stored in (
            ((), True),
            ({"Cache-Control": "max-age=60"}, True),
            ({"Cache-Control": 'max-age="60"'}, True),
            ({"Cache-Control": "public, MAX-AGE=60"}, True),
            ({"Cache-Control": "max-age=0"}, False),
            ({"Cache-Control": "max-age=60, s-maxage=0"}, False),
            ({"Cache-Control": "max-age=0, s-maxage=60"}, True),
            ({"Cache-Control": "max-age=60, max-age=0"}, False),
            ({"Cache-Control": "max-age=soon"}, False),
            ({"Cache-Control": "max-age=60", "Age": "30"}, True),
            ({"Cache-Control": "max-age=60", "Age": "60"}, False),
            ({"Cache-Control": "no-cache"}, False),
            ({"Cache-Control": "no-cache, max-age=60"}, False),
            ({"Pragma": "no-cache"}, False),
            ({"Pragma": "no-cache", "Cache-Control": "max-age=60"}, True),
            ({"Expires": "Sun, 06 Nov 2094 08:49:37 GMT"}, True),
            ({"Expires": DATE}, False),
            ({"Expires": "0"}, False),
            ({"Date": DATE, "Expires": "Sun, 06 Nov 1994 08:50:37 GMT"}, True),
            ({"Expires": DATE, "Cache-Control": "max-age=60"}, True),
            ({"Vary": "Accept-Encoding, Origin"}, True),
        ):
            with self.subTest(headers=headers):
                up = self.numbered(headers)
                self.assertEqual(self.bodies(up), ["1", "1"] if stored else ["1", "2"])

    def test_an_answer_is_not_used_beyond_its_time(self):
        up = self.numbered({"Cache-Control": "max-age=1"})
        self.assertEqual(self.bodies(up), ["1", "1"])
        wait_until(lambda: self.bodies(up, 1) == ["2"])

    def test_the_time_of_an_answer_begins_with_its_head(self):
        numbers = itertools.count(1)

        def script(_):
            answer = ok(b"\x47%d" % next(numbers), {"Cache-Control": "max-age=1"})
            end = answer.data[-1:]
            return Answer(answer.data[:-1], body=lambda: itertools.chain(late(), [end]))

        def late():
            time.sleep(1.2)
            return ()

        self.assertEqual(self.bodies(self.upstream(script)), ["1", "2"])

    def test_an_answer_is_no_longer_fresh_than_the_redirect_to_it(self):
        ages = {"memory": "64MiB", "playlist_age": "0s", "segment_age": "0s"}
        minute = {"Cache-Control": "max-age=60"}
        for code, redirect_says, answer_says, settings, stored in (
            (302, {}, LONG, {}, False),
            (303, {}, LONG, {}, False),
            (307, {}, LONG, {}, False),
            (302, {}, LONG, {"segment_age": "1h"}, True),
            (302, minute, LONG, {}, True),
            (302, minute, {}, {"segment_age": "1h"}, True),
            (302, {"Cache-Control": "max-age=0"}, {}, {"segment_age": "1h"}, False),
            (302, {"Cache-Control": "no-store"}, LONG, {"segment_age": "1h"}, False),
            (302, {"Cache-Control": "private"}, LONG, {"segment_age": "1h"}, False),
            (302, {"Cache-Control": "no-store"}, LONG,
             {"segment_age": "1h", "ignore_no_store": ["127.0.0.1"]}, True),
            (302, {"Expires": DATE}, LONG, {"segment_age": "1h"}, False),
            (301, {}, LONG, {}, True),
            (308, {}, LONG, {}, True),
            (301, {"Cache-Control": "no-cache"}, LONG, {}, False),
        ):
            with self.subTest(code=code, redirect=redirect_says, answer=answer_says, **settings):

                def script(request, code=code, says=redirect_says, answer_says=answer_says):
                    if request.path == "/latest":
                        return status(code, {"Location": "/7.ts", **says})
                    return ok(b"\x47seven", answer_says, content_type="video/mp2t")

                up = self.upstream(script)
                proxy = self.proxy(cache={**ages, **settings})
                for _ in range(2):
                    self.assertEqual(proxy.stream(up.url("/latest")).body, b"\x47seven")
                self.assertEqual(up.targets().count("/latest"), 1 if stored else 2)

    def test_ages_for_what_the_upstream_does_not_say(self):
        settings = {"memory": "64MiB", "playlist_age": "0s", "segment_age": "1h"}
        proxy = self.proxy(cache=settings)
        text = "#EXTM3U\n#EXTINF:4,\nseg1.ts\n"
        for answer, stored in (
            (lambda _: playlist(text), False),
            (lambda _: ok(text.encode(), content_type="video/mp2t"), False),
            (lambda _: ok(b"\xef\xbb\xbf\n " + text.encode(), content_type="text/plain"), False),
            (lambda _: ok(b"<MPD></MPD>"), False),
            (lambda _: ok(b'{"VERSION":1}'), False),
            (lambda _: ok(b"", content_type="video/mp2t"), False),
            (lambda _: ok(b"\x47" * 188), True),
            (lambda _: ok(b"WEBVTT\n", content_type="text/vtt"), True),
        ):
            up = self.upstream(answer)
            for _ in range(2):
                proxy.stream(up.url("/a"))
            self.assertEqual(len(up.requests), 1 if stored else 2, up.requests[0])

    def test_hosts_whose_no_store_is_ignored(self):
        cache = {**self.settings["cache"], "ignore_no_store": ["127.0.0.1"]}
        for value in ("no-store", "private, max-age=0"):
            up = self.numbered({"Cache-Control": value})
            proxy = self.proxy(cache=cache)
            bodies = {proxy.stream(up.url("/a.ts")).body for _ in range(2)}
            self.assertEqual(len(bodies), 1)

    def test_a_stored_playlist_is_rewritten_for_each_client(self):
        up = self.upstream(lambda _: playlist("#EXTM3U\n#EXTINF:4,\nseg1.ts\n", LONG))
        proxy = self.proxy()
        for host in ("one.example", "two.example"):
            response = proxy.stream(up.url("/live/a.m3u8"), {"Host": host})
            child = f"http://{host}/stream?url=" + up.url("/live/seg1.ts").replace(
                ":", "%3A"
            ).replace("/", "%2F")
            self.assertIn(child, response.text)
            self.assertEqual(response["Content-Type"], "application/vnd.apple.mpegurl")
        self.assertEqual(len(up.requests), 1)

    def test_the_base_of_a_stored_playlist_is_where_it_was_redirected(self):
        def script(request):
            if request.path == "/a.m3u8":
                return redirect("/deep/b.m3u8")
            return playlist("#EXTM3U\n#EXTINF:4,\nseg1.ts\n", LONG)

        up = self.upstream(script)
        texts = {self.proxy().stream(up.url("/a.m3u8")).text for _ in range(3)}
        self.assertEqual(len(texts), 1)
        self.assertIn("%2Fdeep%2Fseg1.ts", texts.pop())
        self.assertEqual(len(up.requests), 2)

    def test_ranges_are_answered_from_the_stored_answer(self):
        headers = {**LONG, "ETag": '"v1"', "Last-Modified": DATE}
        up = self.upstream(lambda _: ok(CONTENT, headers, content_type="video/mp2t"))
        proxy = self.proxy()
        proxy.stream(up.url("/a.ts"))
        size = len(CONTENT)
        for asked, first, end in (
            ("bytes=0-", 0, size),
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=700000-", 700_000, size),
            ("bytes=699990-999999999", 699_990, size),
            ("bytes=-5", size - 5, size),
            ("bytes=-99999999", 0, size),
        ):
            with self.subTest(asked=asked):
                response = proxy.stream(up.url("/a.ts"), {"Range": asked})
                self.assertEqual(response.status, 206)
                self.assertEqual(response["Content-Range"], f"bytes {first}-{end - 1}/{size}")
                self.assertEqual(response["Content-Length"], str(end - first))
                self.assertTrue(response.body == CONTENT[first:end])
                self.assertEqual(response["X-Streamgate-Cache"], "hit")
        for asked in ("bytes=700001-", "bytes=-0"):
            response = proxy.stream(up.url("/a.ts"), {"Range": asked})
            self.assertEqual((response.status, response.body), (416, b""))
            self.assertEqual(response["Content-Range"], f"bytes */{size}")
        for asked in ("bytes=5-1", "lines=1-2", "bytes=1-2,5-6", "bytes=x-", "bytes=-"):
            self.assertEqual(proxy.stream(up.url("/a.ts"), {"Range": asked}).status, 200, asked)
        for condition, status_code in (
            ('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200), (DATE, 206),
            ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
        ):
            response = proxy.stream(
                up.url("/a.ts"), {"Range": "bytes=1-2", "If-Range": condition}
            )
            self.assertEqual(response.status, status_code, condition)
        self.assertEqual(len(up.requests), 1)

    def test_a_range_without_a_stored_answer_passes(self):
        def script(request):
            if request["Range"] == "bytes=10-19":
                return status(206, {"Content-Range": f"bytes 10-19/{len(CONTENT)}"}, CONTENT[10:20])
            return ok(CONTENT, LONG, content_type="video/mp2t")

        up = self.upstream(script)
        proxy = self.proxy()
        response = proxy.stream(up.url("/a.ts"), {"Range": "bytes=10-19"})
        self.assertEqual((response["X-Streamgate-Cache"], response.body), ("pass", CONTENT[10:20]))
        # Players that look whether ranges work share the whole.
        response = proxy.stream(up.url("/a.ts"), {"Range": "bytes=0-"})
        self.assertEqual((response.status, response["X-Streamgate-Cache"]), (206, "miss"))
        self.assertIsNone(up.requests[1]["Range"])
        self.assertTrue(response.body == CONTENT)
        self.assertEqual(proxy.stream(up.url("/a.ts"))["X-Streamgate-Cache"], "hit")

    def test_a_playlist_is_never_answered_in_parts(self):
        up = self.upstream(lambda _: playlist("#EXTM3U\n#EXTINF:4,\nseg1.ts\n", LONG))
        proxy = self.proxy()
        whole = proxy.stream(up.url("/a.m3u8"))
        for asked in ("bytes=0-", "bytes=0-5"):
            response = proxy.stream(up.url("/a.m3u8"), {"Range": asked})
            self.assertEqual((response.status, response.body), (200, whole.body))
        self.assertEqual(len(up.requests), 1)

    def test_conditions_are_answered_from_the_stored_answer(self):
        headers = {**LONG, "ETag": '"v1"', "Last-Modified": DATE}
        up = self.upstream(lambda _: ok(CONTENT, headers, content_type="video/mp2t"))
        proxy = self.proxy()
        proxy.stream(up.url("/a.ts"))
        for condition, answer in (
            ({"If-None-Match": '"v1"'}, 304),
            ({"If-None-Match": 'W/"v1"'}, 304),
            ({"If-None-Match": '"v0", "v1"'}, 304),
            ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": '"v2"'}, 200),
            ({"If-None-Match": '"v2"', "If-Modified-Since": DATE}, 200),
            ({"If-Modified-Since": DATE}, 304),
            ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}, 200),
            ({"If-Modified-Since": "yesterday"}, 200),
        ):
            response = proxy.stream(up.url("/a.ts"), condition)
            self.assertEqual(response.status, answer, condition)
            self.assertEqual(len(response.body), 0 if answer == 304 else len(CONTENT))
        self.assertEqual(len(up.requests), 1)
        # Without a stored answer the upstream is asked.
        up = self.upstream(lambda _: status(304, {"ETag": '"v1"'}))
        response = proxy.stream(up.url("/a.ts"), {"If-None-Match": '"v1"'})
        self.assertEqual((response.status, response["X-Streamgate-Cache"]), (304, "pass"))
        self.assertEqual(up.requests[0]["If-None-Match"], '"v1"')

    def test_everything_that_goes_upstream_is_part_of_the_key(self):
        up = self.numbered(LONG)
        url = up.url("/a.ts")
        proxy = self.proxy()
        variants = [
            proxy.stream(url),
            proxy.stream(up.url("/a.ts?b")),
            proxy.stream(up.url("/b.ts")),
            proxy.stream(url, referer="http://a.example/"),
            proxy.stream(url, h_X="1"),
            proxy.stream(url, h_X="2"),
            proxy.stream(url, {"Accept": "text/x"}),
            proxy.stream(url, {"Accept-Language": "de"}),
            proxy.stream(url, {"CDN-Loop": "cdn.example"}),
            proxy.stream(url, sg_c="YT0xO2Q9MTI3LjAuMC4xO3A9Lw"),
            proxy.stream(url, sg_alt=up.url("/b.ts")),
        ]
        self.assertEqual(len({response.body for response in variants}), len(variants))
        self.assertEqual(proxy.stream(url).body, variants[0].body)
        self.assertEqual(len(up.requests), len(variants))

    def test_fields_that_do_not_go_upstream_change_nothing(self):
        up = self.numbered(LONG)
        for fields in (
            {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
            {"Cookie": "session=1"},
            {"Authorization": "Basic eDp5"},
            {"User-Agent": "VLC"},
            {"Origin": "http://a.example"},
            {"Cache-Control": "no-cache"},
            {"X-Original-URL": "/b"},
        ):
            self.assertEqual(self.bodies(up, 1, fields), ["1"])
        self.assertIsNone(up.requests[0]["Cookie"])
        self.assertIsNone(up.requests[0]["Authorization"])

    def test_a_reload_keeps_what_is_stored_while_its_worker_stays(self):
        up = self.numbered(LONG)
        proxy = self.own_proxy()
        self.assertEqual(proxy.stream(up.url("/a.ts")).body, b"\x471")
        client, gate = self.stream_under_way(proxy)
        proxy.reload({})
        proxy.wait_for_event("reload.done")
        for _ in range(3):
            self.assertEqual(proxy.stream(up.url("/a.ts")).body, b"\x471")
        self.finish_stream(client, gate)

    def test_another_configuration_has_another_store(self):
        up = self.numbered(LONG)
        proxy = self.own_proxy()
        self.assertEqual(proxy.stream(up.url("/a.ts")).body, b"\x471")
        client, gate = self.stream_under_way(proxy)
        proxy.reload({"security": {"allow_private": []}})
        proxy.wait_for_event("worker.draining", generation="1")
        self.assert_error(proxy.stream(up.url("/a.ts")), 403, "target_forbidden")
        self.finish_stream(client, gate)

    def test_the_log_names_the_alternative_that_answered(self):
        first = self.upstream(status(404))
        other = self.upstream(ok(CONTENT, LONG))
        proxy = self.proxy()
        for outcome in ("miss", "hit"):
            response = proxy.stream(first.url("/a.ts"), sg_alt=other.url("/b.ts"))
            self.assertEqual((response.status, response["X-Streamgate-Cache"]), (200, outcome))
        self.assertEqual(proxy.wait_for_access(1)["upstream"], other.url("/b.ts"))
        self.assertEqual(proxy.wait_for_access(2)["upstream"], other.url("/b.ts"))
        self.assertEqual((len(first.requests), len(other.requests)), (1, 1))

    def test_a_loop_is_refused_before_the_store_is_asked(self):
        up = self.numbered(LONG)
        proxy = self.proxy(loop_id="here")
        proxy.stream(up.url("/a.ts"))
        response = proxy.stream(up.url("/a.ts"), {"CDN-Loop": "here;by=streamgate"})
        self.assert_error(response, 508, "loop")

    def test_no_cache_no_header(self):
        up = self.numbered(LONG)
        proxy = self.proxy(cache={"memory": "0B"})
        for number in (b"1", b"2"):
            response = proxy.stream(up.url("/a.ts"))
            self.assertEqual((response.body[1:], response["X-Streamgate-Cache"]), (number, None))
        self.assertNotIn("cache", proxy.wait_for_access())


class Seen(ProxyTest):
    """What the metrics, the status and the streams say of the cache."""

    settings = {"cache": {"memory": "64MiB"}, "admin": ADMIN}

    def test_metrics_and_status_tell_what_the_cache_does(self):
        up = self.upstream(lambda _: ok(CONTENT, LONG, content_type="video/mp2t"))
        proxy = self.own_proxy()
        for _ in range(3):
            proxy.stream(up.url("/a.ts"))
        proxy.stream(up.url("/a.ts"), h_Authorization="Basic eDp5")
        address = admin_address(proxy)
        seen = metrics(address)
        for name, value in (
            ("hits", 2), ("shared", 0), ("misses", 1), ("passes", 1), ("evictions", 0),
            ("bytes_saved", 2 * len(CONTENT)), ("validated", 0), ("purged", 0),
        ):
            self.assertEqual(seen[f"streamgate_cache_{name}_total"], value, name)
        self.assertEqual(seen["streamgate_cache_bytes_limit"], 64 << 20)

        def held():
            return metrics(address)['streamgate_cache_bytes_held{worker="0"}']

        self.assertGreater(wait_until(held), len(CONTENT))
        worker = ask_json(address, "/status")["workers"][0]
        self.assertEqual((worker["cache_bytes_held"], worker["cache_leases"]), (held(), 0))
        self.assertEqual(ask_json(address, "/status")["counters"]["cache_hits"], 2)

    def test_leases_are_answers_of_other_workers(self):
        up = self.upstream(lambda _: ok(CONTENT, LONG, content_type="video/mp2t"))
        proxy = self.own_proxy({"workers": 2})
        address = admin_address(proxy)

        def leases():
            proxy.stream(up.url("/a.ts"))
            seen = metrics(address)
            return sum(v for k, v in seen.items() if k.startswith("streamgate_cache_leases")) == 1

        wait_until(leases, what="a lease of the other worker")


if __name__ == "__main__":
    main()
