"""A cut body is resumed on another connection, or the client's connection breaks."""

import random
import time

from harness import ProxyTest, main, stream_path
from upstream import Answer, ok, redirect, status

CONTENT = random.Random(4).randbytes(3_000_003)
TAG = '"v1"'
OLD = {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Mon, 07 Nov 1994 08:49:37 GMT"}


class Origin:
    """Serves CONTENT with ranges. `cuts` has, for each request, the number of body bytes before the
    connection ends as `then` says (None: all)."""

    def __init__(self, cuts, then="close", validator=None, change=None):
        self.cuts = list(cuts)
        self.then = then
        self.validator = validator or {"ETag": TAG}
        self.change = change or (lambda request, answer: answer)

    def __call__(self, request):
        first, last = 0, len(CONTENT) - 1
        fields = [("Content-Type", "video/mp2t"), *self.validator.items()]
        asked = request["Range"]
        if asked:
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(begin), int(end or last)
            fields.append(("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}"))
        body = CONTENT[first : last + 1]
        answer = status(206 if asked else 200, fields, body)
        cut = self.cuts.pop(0) if self.cuts else None
        if cut is not None:
            answer = Answer(answer.data[: len(answer.data) - len(body) + cut], self.then)
        return self.change(request, answer) if request["If-Range"] else answer


class Resumes(ProxyTest):
    settings = {"upstream": {"idle_timeout": "400ms", "first_byte_timeout": "1s"}}

    def fetch(self, origin, headers=(), **options):
        """The response, the upstream, and the access-log line."""
        proxy = self.proxy()
        proxy.mark()
        up = self.upstream(origin)
        response = proxy.stream(up.url("/a.ts"), headers, **options)
        return response, up, proxy.wait_for_access()

    def assert_whole(self, response, content=CONTENT):
        self.assertTrue(response.complete)
        self.assertTrue(response.body == content)

    def assert_broken(self, response, entry, reason="truncated_body"):
        self.assertFalse(response.complete)
        self.assertEqual(response.ended_by, "fin")
        self.assertEqual(CONTENT[: len(response.body)], response.body)
        self.assertEqual(entry["reason"], reason)

    def test_a_cut_body_is_resumed_after_a_close_a_reset_and_a_stall(self):
        for then in ("close", "reset", "stall"):
            for cut in (1, 65_537, 1_000_000, len(CONTENT) - 1):
                with self.subTest(then=then, cut=cut):
                    response, up, entry = self.fetch(Origin([cut], then))
                    self.assert_whole(response)
                    rest = up.requests[1]
                    begin = int(rest["Range"].removeprefix("bytes=").partition("-")[0])
                    # A reset may discard bytes that were received.
                    self.assertTrue(begin == cut or (then == "reset" and begin < cut), begin)
                    self.assertEqual(rest["Range"], f"bytes={begin}-{len(CONTENT) - 1}")
                    self.assertEqual(rest["If-Range"], TAG)
                    self.assertEqual((entry["reason"], entry["resumed"]), ("ok", "1"))
                    self.assertEqual(entry["bytes"], str(len(CONTENT)))
                    self.assertEqual((entry["status"], entry["upstream_status"]), ("200", "200"))

    def test_a_body_is_resumed_twice(self):
        response, up, entry = self.fetch(Origin([1_000_000, 1_000_000]))
        self.assert_whole(response)
        self.assertEqual(
            [request["Range"] for request in up.requests],
            [None, "bytes=1000000-3000002", "bytes=2000000-3000002"],
        )
        self.assertEqual(entry["resumed"], "2")

    def test_a_body_is_resumed_at_most_twice(self):
        response, up, entry = self.fetch(Origin([500_000] * 9))
        self.assert_broken(response, entry)
        self.assertEqual(len(up.requests), 3)
        self.assertEqual(entry["bytes"], "1500000")

    def test_the_range_of_the_client_is_resumed(self):
        response, up, _ = self.fetch(
            Origin([300_000]), {"Range": "bytes=100000-1999999", "If-Range": TAG}
        )
        self.assertEqual(response.status, 206)
        self.assert_whole(response, CONTENT[100_000:2_000_000])
        self.assertEqual(up.requests[1]["Range"], "bytes=400000-1999999")

    def test_an_old_last_modified_is_a_validator(self):
        response, up, _ = self.fetch(Origin([300_000], validator=OLD))
        self.assert_whole(response)
        self.assertEqual(up.requests[1]["If-Range"], OLD["Last-Modified"])

    def test_without_a_strong_validator_nothing_is_resumed(self):
        for validator in ({"X": "y"}, {"ETag": 'W/"v1"'}, {"Last-Modified": OLD["Date"]}):
            with self.subTest(validator=validator):
                response, up, entry = self.fetch(Origin([300_000], validator=validator))
                self.assert_broken(response, entry)
                self.assertEqual(len(up.requests), 1)

    def test_an_answer_other_than_the_missing_range_breaks_the_client_connection(self):
        def rest(fields, code=206, begin=300_000):
            return lambda *_: status(code, fields, CONTENT[begin:])

        length = len(CONTENT)
        place = {"Content-Range": f"bytes 300000-{length - 1}/{length}"}
        tagged = {**place, "ETag": TAG}
        for name, change in {
            "changed": rest({**place, "ETag": '"v2"'}),
            "without a tag": rest(place),
            "weak": rest({**place, "ETag": f"W/{TAG}"}),
            "whole": rest({"ETag": TAG}, 200, 0),
            "whole that claims to be a range": rest(tagged, 200),
            "earlier": rest({**tagged, "Content-Range": f"bytes 299999-{length - 1}/{length}"}),
            "later": rest({**tagged, "Content-Range": f"bytes 300001-{length - 1}/{length}"}),
            "of a longer one": rest({**tagged, "Content-Range": f"bytes 300000-{length - 1}/*"}),
            "longer": rest({**tagged, "Content-Range": f"bytes 300000-{length}/{length + 1}"}),
            "not as long as it says": rest(tagged, 206, 300_001),
            "coded": rest({**tagged, "Content-Encoding": "gzip"}),
            "gone": rest({}, 404),
            "elsewhere": lambda *_: redirect("/b.ts"),
            "not modified": lambda *_: status(304),
        }.items():
            with self.subTest(name):
                response, up, entry = self.fetch(Origin([300_000], change=change))
                self.assert_broken(response, entry)
                self.assertEqual((entry["bytes"], len(up.requests)), ("300000", 2))
                self.assertEqual(len(response.body), 300_000)
                self.assertIn("not resumed", entry["detail"])
                self.assertNotIn("resumed", entry)

    def test_a_failed_attempt_to_resume_is_retried(self):
        for name, first in {
            "overloaded": status(503),
            "silent": Answer(b"", "close"),
            "nonsense": Answer(b"nonsense\r\n\r\n", "close"),
        }.items():
            with self.subTest(name):
                answers = [first]
                response, up, entry = self.fetch(
                    Origin([300_000], change=lambda _, a: answers.pop() if answers else a)
                )
                self.assert_whole(response)
                self.assertEqual((len(up.requests), entry["resumed"]), (3, "1"))

    def test_a_refused_connection_breaks_the_client_connection(self):
        up = None

        def last_answer(_):
            up.stop_accepting()
            return Answer(Origin([None])(up.requests[-1]).data[:300_000], "close")

        proxy = self.proxy()
        up = self.upstream(last_answer)
        response = proxy.stream(up.url("/a.ts"))
        self.assertFalse(response.complete)
        entry = proxy.wait_for_access()
        self.assertEqual(entry["reason"], "truncated_body")
        self.assertIn("connect_failed", entry["detail"])

    def test_a_playlist_is_not_resumed(self):
        text = b"#EXTM3U\n" + b"#EXTINF:1,\nseg.ts\n" * 9000
        answer = ok(text, {"ETag": TAG}, "application/vnd.apple.mpegurl")
        response, up, _ = self.fetch(Answer(answer.data[:100_000], "close"))
        self.assertTrue(response.status == 502 or not response.complete)
        self.assertEqual(len(up.requests), 1)

    def test_a_body_is_resumed_while_the_client_does_not_read(self):
        proxy = self.proxy()
        proxy.mark()
        up = self.upstream(Origin([2_900_000, 50_000]))
        with proxy.connect(receive_buffer=16 * 1024) as client:
            client.request(stream_path(up.url("/a.ts")))
            time.sleep(0.5)
            response = client.read_response()
        self.assert_whole(response)

    def test_the_connection_of_a_resumed_body_is_reused(self):
        origin = Origin([300_000])
        response, up, _ = self.fetch(origin)
        self.assert_whole(response)
        self.assert_whole(self.proxy().stream(up.url("/a.ts")))
        self.assertEqual([request.connection for request in up.requests], [0, 1, 1])


class Never(ProxyTest):
    settings = {"upstream": {"resume_attempts": 0}}

    def test_resume_attempts_0_turns_resuming_off(self):
        proxy = self.proxy()
        up = self.upstream(Origin([300_000]))
        response = proxy.stream(up.url("/a.ts"))
        self.assertFalse(response.complete)
        self.assertEqual(len(up.requests), 1)
        self.assertEqual(proxy.wait_for_access()["detail"], "closed inside the body")


if __name__ == "__main__":
    main()
