"""Nothing from an upstream runs or shows as a page of the proxy's origin, and media still plays."""

import glob
import os
import re
import ssl
import tempfile
import unittest

from certificates import Authority
from harness import ProxyTest, main, stream_path
from http_client import gzip
from upstream import Answer, ok, playlist, status

POLICY = (
    "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
)
HTML = b"<!doctype html><script>alert(1)</script>"
TS = (b"\x47\x40\x00\x10" + b"\xff" * 184) * 20
MP4 = b"\0\0\0\x20ftypisom" + b"x" * 400
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def typed(body, *types, code=200, more=()):
    return status(code, [*[("Content-Type", t) for t in types], *more], body)


class Pages(ProxyTest):
    def test_active_types_are_sent_as_text(self):
        for types in (
            ["text/html"],
            ["TEXT/HTML; charset=utf-8"],
            ["application/xhtml+xml"],
            ["text/xsl"],
            ["application/xslt+xml"],
            ["text/css"],
            ["text/javascript"],
            ["application/x-javascript"],
            ["text/livescript"],
            ["text/plain, text/html"],
            ["text/plain", "text/html"],
            ["text/html x"],
        ):
            with self.subTest(types):
                up = self.upstream(typed(HTML, *types))
                response = self.proxy().stream(up.url("/page"))
                self.assertEqual(response["Content-Type"].partition(";")[0], "text/plain")
                self.assertEqual(response.body, HTML)

    def test_other_types_are_relayed(self):
        for content_type in (
            "image/svg+xml",
            "text/xml",
            "application/json",
            "multipart/x-mixed-replace; boundary=x",
            "video/mp2t",
        ):
            up = self.upstream(typed(b"<x/>", content_type))
            self.assertEqual(
                self.proxy().stream(up.url("/page"))["Content-Type"], content_type
            )

    def test_every_answer_but_a_playlist_is_sandboxed(self):
        up = self.upstream(
            {
                "/video": typed(TS, "video/mp2t"),
                "/svg": typed(b"<svg/>", "image/svg+xml"),
                "/none": typed(b"x"),
                "/error": typed(HTML, "text/html", code=404),
                "/part": typed(
                    b"x", "text/html", code=206, more=[("Content-Range", "bytes 1-1/2")]
                ),
                "/304": status(304, [("ETag", '"a"'), ("Content-Type", "text/html")]),
                "/list.m3u8": playlist("#EXTM3U\n"),
            }
        )
        for path in ("/video", "/svg", "/none", "/error", "/part", "/304"):
            for method in ("GET", "HEAD"):
                response = self.proxy().stream(up.url(path), method=method)
                self.assertEqual(response["Content-Security-Policy"], POLICY, path)
                self.assertEqual(response["X-Content-Type-Options"], "nosniff", path)
        response = self.proxy().stream(up.url("/list.m3u8"))
        self.assertIsNone(response["Content-Security-Policy"])
        self.assertEqual(response["X-Content-Type-Options"], "nosniff")

    def test_an_error_page_is_text_and_a_304_has_no_type(self):
        up = self.upstream(
            {
                "/404": typed(HTML, "text/html", code=404),
                "/304": status(304, [("ETag", '"a"'), ("Content-Type", "text/html")]),
            }
        )
        response = self.proxy().stream(up.url("/404"))
        self.assertEqual((response.status, response["Content-Type"]), (404, "text/plain"))
        response = self.proxy().stream(up.url("/304"))
        self.assertEqual((response.status, response["Content-Type"]), (304, None))


class Destinations(ProxyTest):
    def test_requests_whose_answer_would_run_are_refused_before_the_upstream(self):
        up = self.upstream(ok(b"x"))
        for destination in (
            "script",
            "style",
            "worker",
            "sharedworker",
            "serviceworker",
            "audioworklet",
            "paintworklet",
            "xslt",
        ):
            for route in ("/stream", "/stream/a.js", "/api/proxy/stream"):
                response = self.proxy().ask(
                    stream_path(up.url(), route), {"Sec-Fetch-Dest": destination}
                )
                self.assert_error(response, 403, "script_forbidden")
        response = self.proxy().stream(up.url(), {"Service-Worker": "script"})
        self.assert_error(response, 403, "script_forbidden")
        self.assertEqual(up.connections, 0)

    def test_other_destinations_are_served(self):
        up = self.upstream(ok(b"x"))
        for destination in ("document", "iframe", "empty", "video", "audio", "track", "image"):
            response = self.proxy().stream(up.url(), {"Sec-Fetch-Dest": destination})
            self.assertEqual(response.status, 200, destination)

    def test_own_answers_are_served_to_every_destination(self):
        response = self.proxy().ask("/health", {"Sec-Fetch-Dest": "script"})
        self.assertEqual(response.status, 200)
        response = self.proxy().ask("/stream", {"Sec-Fetch-Dest": "script"}, method="OPTIONS")
        self.assertEqual(response.status, 204)


class MediaTypes(ProxyTest):
    def test_media_with_a_wrong_type_gets_the_type_of_its_first_bytes(self):
        for types in (
            [],
            ["text/plain"],
            ["text/html"],
            ["application/octet-stream"],
            ["application/javascript"],
            ["application/x-anything"],
        ):
            for body, wanted in (
                (TS, "video/mp2t"),
                (MP4, "video/mp4"),
                (b"ID3\4\0\0\0\0\x1f\x76" + b"x" * 400, "audio/mpeg"),
                (b"\x89PNG\r\n\x1a\n....", "image/png"),
                (b"WEBVTT\n\n", "text/vtt"),
            ):
                up = self.upstream(typed(body, *types))
                response = self.proxy().stream(up.url("/x"))
                self.assertEqual(response["Content-Type"], wanted, types)
                self.assertEqual(response.body, body)

    def test_a_declared_media_type_stays_unless_players_choose_a_container_by_it(self):
        for body, declared, sent in (
            (b"ID3\4\0\0\0\0\x1f\x76" + b"x" * 400, "audio/aac", "audio/aac"),
            (MP4, "video/mp2t", "video/mp4"),
        ):
            up = self.upstream(typed(body, declared))
            self.assertEqual(self.proxy().stream(up.url("/x"))["Content-Type"], sent)

    def test_the_type_is_found_in_single_bytes_and_inside_a_coding(self):
        coded = status(
            200,
            [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")],
            gzip(b"RIFF\1\2\3\4WAVEfmt "),
        )
        up = self.upstream({"/ts": typed(TS[:600], "text/plain").bytewise(), "/gzip": coded})
        response = self.proxy().stream(up.url("/ts"))
        self.assertEqual((response["Content-Type"], response.body), ("video/mp2t", TS[:600]))
        response = self.proxy().stream(up.url("/gzip"))
        self.assertEqual(response["Content-Type"], "audio/wav")
        self.assertEqual(response.body, gzip(b"RIFF\1\2\3\4WAVEfmt "))

    def test_text_that_is_no_media_is_not_held_back(self):
        answer = Answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", then="stall"
        )
        up = self.upstream(answer)
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/log")))
            self.assertEqual(client.read_head()["Content-Type"], "text/plain")

    def test_a_part_that_begins_later_has_the_type_of_its_name(self):
        def part(request):
            first = 0 if request.path.startswith("/first") else 100
            span = f"bytes {first}-{len(MP4) - 1}/{len(MP4)}"
            return typed(MP4[first:], "text/html", code=206, more=[("Content-Range", span)])

        up = self.upstream(part)
        asked = {"Range": "bytes=100-"}
        for path, wanted in (
            ("/a.mp4", "video/mp4"),
            ("/a.TS", "video/mp2t"),
            ("/a", "application/octet-stream"),
            ("/a.html", "application/octet-stream"),
            ("/first", "video/mp4"),
        ):
            response = self.proxy().stream(up.url(path), asked)
            self.assertEqual((response.status, response["Content-Type"]), (206, wanted), path)
        # Chromium drops the parts of a video that are not declared as media.
        response = self.proxy().stream(up.url("/a"), {**asked, "Sec-Fetch-Dest": "video"})
        self.assertEqual(response["Content-Type"], "video/mp4")


class Details(ProxyTest):
    def test_an_answer_without_date_gets_one(self):
        up = self.upstream(
            {"/no": ok(b"x"), "/one": ok(b"x", {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"})}
        )
        date = self.proxy().stream(up.url("/no"))["Date"]
        self.assertRegex(date, r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertEqual(
            self.proxy().stream(up.url("/one"))["Date"], "Thu, 01 Jan 1970 00:00:00 GMT"
        )
        self.assertIsNotNone(self.proxy().ask("/stream", method="OPTIONS")["Date"])

    def preflight(self, **settings):
        return self.proxy(**settings).ask(
            "/stream", {"Access-Control-Request-Private-Network": "true"}, method="OPTIONS"
        )["Access-Control-Allow-Private-Network"]

    def test_private_network_access_needs_its_setting(self):
        self.assertIsNone(self.preflight())
        self.assertEqual(self.preflight(cors={"private_network": True}), "true")

    def test_ports_that_browsers_refuse_are_refused(self):
        for port in (22, 25, 6000, 6667, 10080):
            response = self.proxy().stream(f"http://127.0.0.1:{port}/")
            self.assert_error(response, 403, "port_forbidden")
        up = self.upstream(status(302, {"Location": "http://127.0.0.1:6667/"}))
        self.assert_error(self.proxy().stream(up.url()), 403, "port_forbidden")

    def test_the_setting_opens_a_refused_port(self):
        up = self.upstream(ok(b"hello"), port=6669)
        self.assert_error(self.proxy().stream(up.url()), 403, "port_forbidden")
        self.assertEqual(up.connections, 0)
        security = {"allow_private": ["127.0.0.1"], "ports": [6669]}
        self.assertEqual(self.proxy(security=security).stream(up.url()).body, b"hello")

    def test_a_prefix_with_dot_segments_is_ignored(self):
        up = self.upstream(playlist("#EXTM3U\n#EXTINF:1,\na.ts\n"))
        for prefix, wanted in (("/../x", "/stream"), ("/tv", "/tv/stream")):
            response = self.proxy().stream(
                up.url("/a.m3u8"), {"Host": "h.test", "X-Forwarded-Prefix": prefix}
            )
            self.assertIn(f"http://h.test{wanted}?url=", response.text)

    def test_tls_1_2_needs_ecdhe_and_aead(self):
        with tempfile.TemporaryDirectory(prefix="streamgate-test-") as folder:
            os.chmod(folder, 0o755)
            authority = Authority(folder)
            certificate, key = authority.issue_files("IP:127.0.0.1")
            files = {"certificate": certificate, "key": key}
            listen = {"listen": {"address": "127.0.0.1:0", "tls": files}}
            proxy = self.own_proxy(listen, tls=authority.client_context())
            for suites, accepted in (
                ("ECDHE+AESGCM", True),
                ("ECDHE+CHACHA20", True),
                ("kRSA+AESGCM", False),
                ("DHE+AESGCM", False),
                ("ECDHE+AES:!AESGCM:!AESCCM", False),
            ):
                context = authority.client_context()
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                context.set_ciphers(suites)
                with self.subTest(suites):
                    if not accepted:
                        with self.assertRaises(ssl.SSLError):
                            proxy.connect(tls=context)
                        continue
                    with proxy.connect(tls=context) as client:
                        client.request("/health")
                        self.assertEqual(client.read_response().status, 200)


class Documentation(unittest.TestCase):
    def test_every_example_for_nginx_sets_or_clears_the_forwarded_fields(self):
        files = [os.path.join(ROOT, "README.md"), *glob.glob(os.path.join(ROOT, "deploy", "*"))]
        examples = []
        for path in filter(os.path.isfile, files):
            with open(path, encoding="utf-8") as file:
                examples += re.findall(r"```nginx\n(.*?)```", file.read(), re.DOTALL)
        self.assertTrue(examples)
        for example in examples:
            fields = set(re.findall(r"proxy_set_header (\S+) ", example))
            names = ("Proto", "Host", "Prefix", "For", "Port")
            self.assertLessEqual({f"X-Forwarded-{name}" for name in names}, fields)


if __name__ == "__main__":
    main()
