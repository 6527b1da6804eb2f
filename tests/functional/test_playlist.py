"""Playlists are detected, rewritten to point at the proxy, and framed anew."""

import zlib
from urllib.parse import parse_qs, quote, urlsplit

from harness import ProxyTest, main, stream_path
from http_client import gzip
from upstream import Answer, chunked, ok, playlist, status

MEDIA = (
    b"#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n"
    b'#EXT-X-KEY:METHOD=AES-128,URI="key.bin?k=1",IV=0x1\n#EXT-X-MAP:URI="/init.mp4"\n'
    b'#EXTINF:4, a title, with URI="x"\nseg-1.m4s\n# a comment\n'
    b"#EXTINF:4,\nhttps://cdn.example:8443/seg-2.m4s?a=1&b=%2F\n#EXT-X-ENDLIST\n"
)


def rewritten(origin, base):
    """The text that the client must get for MEDIA."""

    def child(url, extra=""):
        return f"{origin}/stream?url={quote(url, safe='')}{extra}".encode()

    # Some players look for a media extension at the end of a URL. If the upstream's query is at the
    # end, sg_ext follows it.
    return (
        MEDIA.replace(b'"key.bin?k=1"', b'"' + child(base + "/p/key.bin?k=1") + b'"')
        .replace(b'"/init.mp4"', b'"' + child(base + "/init.mp4") + b'"')
        .replace(b"\nseg-1.m4s\n", b"\n" + child(base + "/p/seg-1.m4s") + b"\n")
        .replace(
            b"\nhttps://cdn.example:8443/seg-2.m4s?a=1&b=%2F\n",
            b"\n" + child("https://cdn.example:8443/seg-2.m4s?a=1&b=%2F", "&sg_ext=.m4s") + b"\n",
        )
    )


class Rewriting(ProxyTest):
    def assert_rewritten(self, answer, path="/p/index.m3u8", headers=(), request_headers=()):
        up = self.upstream(answer)
        proxy = self.proxy()
        response = proxy.stream(up.url(path), request_headers)
        self.assertEqual(response.status, 200, response)
        self.assertEqual(response.body, rewritten(proxy.origin, up.origin))
        self.assertTrue(response.complete)
        self.assertEqual(
            response["Content-Type"].partition(";")[0], "application/vnd.apple.mpegurl"
        )
        for name in ("ETag", "Last-Modified", "Accept-Ranges", "Content-Encoding", "Content-Range"):
            self.assertIsNone(response[name], name)
        return up

    VALIDATORS = {
        "ETag": '"x"',
        "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
        "Accept-Ranges": "bytes",
    }

    def test_every_uri_is_rewritten_and_nothing_else_changes(self):
        self.assert_rewritten(playlist(MEDIA, self.VALIDATORS))

    def test_playlists_of_every_framing_are_rewritten(self):
        self.assert_rewritten(chunked(MEDIA, content_type="application/x-mpegurl"))
        self.assert_rewritten(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpegurl\r\n\r\n" + MEDIA)
        self.assert_rewritten(playlist(MEDIA).bytewise())
        self.assert_rewritten(chunked(MEDIA, size=1).bytewise())

    def test_gzip_and_deflate_playlists_are_rewritten(self):
        packer = zlib.compressobj(wbits=-15)
        raw_deflate = packer.compress(MEDIA) + packer.flush()
        for coding, body in (
            ("gzip", gzip(MEDIA)),
            ("x-gzip", gzip(MEDIA)),
            ("deflate", zlib.compress(MEDIA)),
            ("deflate", raw_deflate),
        ):
            with self.subTest(coding):
                self.assert_rewritten(playlist(body, {"Content-Encoding": coding}))
                self.assert_rewritten(
                    chunked(body, {"Content-Encoding": coding}, "application/x-mpegurl")
                )
                self.assert_rewritten(playlist(body, {"Content-Encoding": coding}).bytewise())

    def test_a_playlist_in_an_unknown_coding_is_refused(self):
        up = self.upstream(playlist(b"\x1b?", {"Content-Encoding": "compress"}))
        self.assert_error(self.proxy().stream(up.url("/p/i.m3u8")), 502, "unsupported_coding")

    def test_truncated_gzip_is_never_a_complete_answer(self):
        up = self.upstream(playlist(gzip(MEDIA * 50)[:-20], {"Content-Encoding": "gzip"}))
        response = self.proxy().stream(up.url("/p/i.m3u8"))
        self.assertTrue(
            response is None or response.status == 502 or not response.complete, response
        )

    def test_the_first_bytes_win_over_type_and_name(self):
        for content_type in ("text/plain", "text/html", "video/mp2t", "application/octet-stream"):
            self.assert_rewritten(playlist(MEDIA, content_type=content_type), path="/p/x?y=z")

    def test_media_named_m3u8_passes_through_unchanged(self):
        body = b"G@\x00" * 5000 + b"\nhttp://x/\n"
        up = self.upstream(ok(body, {"ETag": '"e"'}, "video/mp2t"))
        response = self.proxy().stream(up.url("/p/i.m3u8"))
        self.assertEqual(
            (response.body, response["Content-Type"], response["ETag"]), (body, "video/mp2t", '"e"')
        )
        self.assertEqual(response["Content-Length"], str(len(body)))

    def test_an_error_page_with_a_playlist_type_is_not_rewritten(self):
        up = self.upstream(
            status(404, {"Content-Type": "application/vnd.apple.mpegurl"}, b"<html>\nnope\n")
        )
        self.assertEqual(self.proxy().stream(up.url("/p/i.m3u8")).body, b"<html>\nnope\n")

    def test_an_empty_body_stays_empty(self):
        for answer in (playlist(b""), chunked(b"", content_type="application/x-mpegurl")):
            response = self.proxy().stream(self.upstream(answer).url("/p/i.m3u8"))
            self.assertEqual((response.status, response.body, response.complete), (200, b"", True))

    def test_a_playlist_of_60000_segments_arrives_whole(self):
        text = b"#EXTM3U\n" + b"".join(
            b"#EXTINF:4,\nseg-%07d.ts?token=abcdefgh\n" % i for i in range(60_000)
        )
        up = self.upstream(playlist(text))
        proxy = self.proxy()
        response = proxy.stream(up.url("/p/i.m3u8"))
        lines = response.body.split(b"\n")
        self.assertEqual(len(lines), 120_002)
        self.assertEqual(
            lines[120_000].decode(),
            proxy.origin + stream_path(up.url("/p/seg-0059999.ts?token=abcdefgh"), sg_ext=".ts"),
        )


class RangesOfPlaylists(ProxyTest):
    def partial(self, first, last, total, body, content_type="application/x-mpegurl"):
        return status(
            206,
            {"Content-Type": content_type, "Content-Range": f"bytes {first}-{last}/{total}"},
            body,
        )

    def test_a_206_with_the_whole_playlist_becomes_a_200(self):
        size = len(MEDIA)
        up = self.upstream(self.partial(0, size - 1, size, MEDIA, "text/plain"))
        proxy = self.proxy()
        response = proxy.stream(up.url("/p/x"), {"Range": "bytes=0-"})
        self.assertEqual((response.status, response["Content-Range"]), (200, None))
        self.assertEqual(response.body, rewritten(proxy.origin, up.origin))
        self.assertEqual(len(up.requests), 1)

    def test_an_upstream_that_always_sends_206_is_asked_at_most_twice(self):
        part = {"Content-Type": "application/vnd.apple.mpegurl", "Content-Range": "bytes 0-22/*"}
        up = self.upstream(status(206, part, b"#EXTM3U\n#EXTINF:4,\na.ts\n"))
        for headers in ({"Range": "bytes=0-"}, {}):
            before = len(up.requests)
            response = self.proxy().stream(up.url("/a.m3u8"), headers)
            self.assertEqual(response.status, 200)
            self.assertIn(b"/stream?url=", response.body)
            self.assertIsNone(response["Content-Range"])
            asked = [request["Range"] for request in up.requests[before:]]
            self.assertEqual(asked, ["bytes=0-", None] if headers else [None])

    def test_a_206_with_a_part_of_the_playlist_is_fetched_again_without_range(self):
        size = len(MEDIA)
        up = self.upstream(
            lambda r: self.partial(0, 99, size, MEDIA[:100]) if r["Range"] else playlist(MEDIA)
        )
        proxy = self.proxy()
        response = proxy.stream(up.url("/p/x"), {"Range": "bytes=0-99", "If-Range": '"e"'})
        self.assertEqual(
            (response.status, response.body), (200, rewritten(proxy.origin, up.origin))
        )
        self.assertEqual([request["Range"] for request in up.requests], ["bytes=0-99", None])
        self.assertIsNone(up.requests[1]["If-Range"])

    def test_a_part_that_is_too_short_to_decide_is_fetched_again_too(self):
        """Only the end of such a body decides that it belongs to a playlist."""
        size = len(MEDIA)
        up = self.upstream(
            lambda r: self.partial(0, 1, size, MEDIA[:2]) if r["Range"] else playlist(MEDIA)
        )
        proxy = self.proxy()
        response = proxy.stream(up.url("/p/x.m3u8"), {"Range": "bytes=0-1"})
        self.assertEqual(
            (response.status, response.body), (200, rewritten(proxy.origin, up.origin))
        )
        self.assertEqual([request["Range"] for request in up.requests], ["bytes=0-1", None])


class HeadOfPlaylist(ProxyTest):
    def test_a_head_of_a_playlist_has_no_content_length(self):
        up = self.upstream(
            Answer(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-mpegurl\r\nContent-Length: 99\r\n"
                b'ETag: "e"\r\n\r\n'
            )
        )
        response = self.proxy().stream(up.url("/p/i.m3u8"), method="HEAD")
        self.assertEqual(
            (response.status, response["Content-Length"], response["ETag"]), (200, None, None)
        )
        self.assertEqual(
            response["Content-Type"].partition(";")[0], "application/vnd.apple.mpegurl"
        )


class WhereChildrenPoint(ProxyTest):
    def child_of(self, proxy, headers=(), route="/stream", line="seg.ts", **parameters):
        up = self.upstream(playlist(f"#EXTM3U\n#EXTINF:1,\n{line}\n"))
        response = proxy.ask(stream_path(up.url("/p/i.m3u8"), route, **parameters), headers)
        self.assertEqual(response.status, 200, response)
        return response.text.split("\n")[2], quote(up.url("/p/seg.ts"), safe="")

    def test_children_point_at_the_host_of_the_request(self):
        child, url = self.child_of(self.proxy(), {"Host": "tv.example:8081"})
        self.assertEqual(child, f"http://tv.example:8081/stream?url={url}")

    def test_children_point_at_the_origin_that_a_trusted_proxy_forwards(self):
        child, url = self.child_of(
            self.proxy(),
            {
                "X-Forwarded-Proto": "https, http",
                "X-Forwarded-Host": "tv.example, inner",
                "X-Forwarded-Prefix": "/proxy",
            },
        )
        self.assertEqual(child, f"https://tv.example/proxy/stream?url={url}")

    def test_forwarded_fields_of_an_untrusted_client_are_ignored(self):
        proxy = self.proxy(trusted_proxies=["192.0.2.0/24"])
        child, url = self.child_of(
            proxy, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
        )
        self.assertEqual(child, f"{proxy.origin}/stream?url={url}")

    def test_malformed_forwarded_values_are_ignored(self):
        proxy = self.proxy()
        for value in ("a/b", "a b", 'a"b', "a@b", "b\\,a"):
            with self.subTest(value):
                child, url = self.child_of(
                    proxy, {"X-Forwarded-Host": value, "X-Forwarded-Proto": "javascript"}
                )
                self.assertEqual(child, f"{proxy.origin}/stream?url={url}")

    def test_children_point_at_public_url(self):
        child, url = self.child_of(
            self.proxy(public_url="https://tv.example/sub"), {"X-Forwarded-Host": "other"}
        )
        self.assertEqual(child, f"https://tv.example/sub/stream?url={url}")

    def test_url_style_relative_writes_paths(self):
        proxy = self.proxy(hls={"url_style": "relative"})
        child, url = self.child_of(proxy, route="/api/proxy/stream")
        self.assertEqual(child, f"/api/proxy/stream?url={url}")

    def test_an_http_1_0_client_without_host_gets_paths(self):
        up = self.upstream(playlist("#EXTM3U\n#EXTINF:1,\nseg.ts\n"))
        with self.proxy().connect() as client:
            client.send(f"GET {stream_path(up.url('/p/i.m3u8'))} HTTP/1.0\r\n\r\n".encode())
            line = client.read_response().text.split("\n")[2]
        self.assertEqual(line, f"/stream?url={quote(up.url('/p/seg.ts'), safe='')}")

    def test_child_urls_named_puts_the_file_name_into_the_path(self):
        proxy = self.proxy(hls={"child_urls": "named"})
        child, url = self.child_of(proxy)
        self.assertEqual(urlsplit(child).path, "/stream/seg.ts")
        self.assertIn(f"url={url}", child)
        self.assertEqual(proxy.ask(child.removeprefix(proxy.origin)).status, 200)

    def test_children_inherit_referer_and_h_parameters(self):
        child, url = self.child_of(
            self.proxy(), referer="http://site.example/", **{"h_X-Token": "a b", "h_Cookie": "c=1"}
        )
        query = parse_qs(urlsplit(child).query)
        self.assertEqual(
            (query["referer"], query["h_X-Token"], query["h_Cookie"]),
            (["http://site.example/"], ["a b"], ["c=1"]),
        )
        self.assertTrue(child.split("?")[1].startswith("url=" + url))

    def test_children_on_another_origin_do_not_inherit_authorization_and_cookie(self):
        child, _ = self.child_of(
            self.proxy(),
            line="http://other.example/s.ts",
            **{"h_Authorization": "Bearer t", "h_Cookie": "c=1", "h_X-Token": "k"},
        )
        query = parse_qs(urlsplit(child).query)
        self.assertEqual(query.get("h_X-Token"), ["k"])
        self.assertNotIn("h_Authorization", query)
        self.assertNotIn("h_Cookie", query)

    def test_rewriting_is_deterministic(self):
        up = self.upstream(playlist(MEDIA))
        proxy = self.proxy()
        self.assertEqual(
            proxy.stream(up.url("/p/i.m3u8")).body, proxy.stream(up.url("/p/i.m3u8")).body
        )

    def test_a_child_plays_through_the_proxy(self):
        up = self.upstream(
            {
                "/p/i.m3u8": playlist("#EXTM3U\n#EXTINF:1,\nseg%20a.ts?x=%2F\n"),
                "/p/seg%20a.ts": ok(b"media"),
            }
        )
        proxy = self.proxy()
        child = proxy.stream(up.url("/p/i.m3u8")).text.split("\n")[2]
        self.assertEqual(proxy.ask(child.removeprefix(proxy.origin)).body, b"media")
        self.assertEqual(up.targets()[-1], "/p/seg%20a.ts?x=%2F")


if __name__ == "__main__":
    main()
