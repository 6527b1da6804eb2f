"""Range and conditional fields are forwarded; 206, 304 and 416 come back unchanged."""

from harness import ProxyTest, main, stream_path
from upstream import Answer, ok, status

BODY = bytes(range(256)) * 40


def ranges(request):
    """An upstream that supports a single byte range."""
    wanted = request["Range"]
    if not wanted:
        return ok(BODY, {"Accept-Ranges": "bytes", "ETag": '"v1"'})
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    if int(first) >= len(BODY):
        return status(416, {"Content-Range": f"bytes */{len(BODY)}"})
    end = min(int(last or len(BODY) - 1), len(BODY) - 1)
    part = BODY[int(first) : end + 1]
    return status(
        206,
        {
            "Content-Type": "video/mp4",
            "Content-Range": f"bytes {first}-{end}/{len(BODY)}",
            "ETag": '"v1"',
            "Accept-Ranges": "bytes",
        },
        part,
    )


class Ranges(ProxyTest):
    def test_a_range_is_forwarded_and_the_206_is_relayed(self):
        up = self.upstream(ranges)
        response = self.proxy().stream(up.url("/a.mp4"), {"Range": "bytes=100-199"})
        self.assertEqual((response.status, response.body), (206, BODY[100:200]))
        self.assertEqual(response["Content-Range"], f"bytes 100-199/{len(BODY)}")
        self.assertEqual(response["Content-Length"], "100")
        self.assertEqual(response["Accept-Ranges"], "bytes")
        self.assertEqual(up.requests[0]["Range"], "bytes=100-199")

    def test_open_and_suffix_ranges_are_forwarded_untouched(self):
        up = self.upstream(ok(b"x"))
        for value in ("bytes=0-", "bytes=-500", "bytes=0-9007199254740991"):
            self.proxy().stream(up.url("/a.mp4"), {"Range": value})
            self.assertEqual(up.requests[-1]["Range"], value)

    def test_several_ranges_pass_through_with_their_multipart_body(self):
        body = b"--b\r\nContent-Range: bytes 0-0/9\r\n\r\nx\r\n--b--\r\n"
        up = self.upstream(status(206, {"Content-Type": "multipart/byteranges; boundary=b"}, body))
        response = self.proxy().stream(up.url("/a.mp4"), {"Range": "bytes=0-0,5-6"})
        self.assertEqual(up.requests[0]["Range"], "bytes=0-0,5-6")
        self.assertEqual((response.status, response.body), (206, body))
        self.assertEqual(response["Content-Type"], "multipart/byteranges; boundary=b")

    def test_a_416_is_relayed_with_its_content_range(self):
        up = self.upstream(ranges)
        response = self.proxy().stream(up.url("/a.mp4"), {"Range": "bytes=999999-"})
        self.assertEqual(
            (response.status, response["Content-Range"]), (416, f"bytes */{len(BODY)}")
        )

    def test_an_upstream_that_ignores_the_range_answers_200(self):
        up = self.upstream(ok(BODY))
        response = self.proxy().stream(up.url("/a.mp4"), {"Range": "bytes=5-"})
        self.assertEqual((response.status, response.body), (200, BODY))

    def test_a_head_request_with_a_range_is_forwarded(self):
        up = self.upstream(
            Answer(b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-9/99\r\nContent-Length: 10\r\n\r\n")
        )
        response = self.proxy().stream(up.url("/a.mp4"), {"Range": "bytes=0-9"}, method="HEAD")
        self.assertEqual(
            (response.status, response["Content-Range"], response["Content-Length"]),
            (206, "bytes 0-9/99", "10"),
        )

    def test_a_range_survives_a_redirect_and_the_retry_after_a_403(self):
        up = self.upstream(
            {"/a.mp4": status(302, {"Location": "/b.mp4"}), "/b.mp4": [status(403), ranges]}
        )
        response = self.proxy().stream(up.url("/a.mp4"), {"Range": "bytes=1-2"})
        self.assertEqual((response.status, response.body), (206, BODY[1:3]))
        self.assertEqual([request["Range"] for request in up.requests], ["bytes=1-2"] * 3)


class Conditionals(ProxyTest):
    def test_if_range_and_conditional_fields_are_forwarded(self):
        up = self.upstream(ok(b"x"))
        fields = {
            "If-Range": '"v1"',
            "If-None-Match": 'W/"a", "b"',
            "If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT",
        }
        self.proxy().stream(up.url("/a.mp4"), {"Range": "bytes=0-1", **fields})
        for name, value in fields.items():
            self.assertEqual(up.requests[0][name], value)

    def test_a_304_is_relayed_with_its_fields_and_without_a_body(self):
        up = self.upstream(status(304, {"ETag": '"v1"', "Cache-Control": "max-age=9"}))
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/a.ts")), {"If-None-Match": '"v1"'})
            response = client.read_response()
            self.assertEqual(
                (response.status, response["ETag"], response["Cache-Control"]),
                (304, '"v1"', "max-age=9"),
            )
            client.request("/health")  # the connection is in sync: the 304 had no body
            self.assertEqual(client.read_response().status, 200)


if __name__ == "__main__":
    main()
