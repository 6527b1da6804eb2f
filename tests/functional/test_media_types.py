"""Players choose the container of a segment by its Content-Type: by that of a HEAD where the link
has no extension (shaka). Wrong and generic types are corrected by the first bytes, or by the name
where no first bytes are seen. Right types leave byte for byte."""

import re
import threading

from harness import ProxyTest, main, stream_path
from upstream import redirect, status

TS = (b"\x47\x40\x00\x10" + b"\xff" * 184) * 8
VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\nx\n"


def box(kind):
    return b"\0\0\0\x18" + kind + b"isom" + b"\0" * 2000


FMP4 = {kind: box(kind) for kind in (b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft")}
MOOF = FMP4[b"moof"]
ENCRYPTED = bytes(range(1, 256)) * 8
GENERIC = [None, "text/plain", "application/octet-stream", "binary/octet-stream", "text/html"]

# Body, name, declared type, the type for the client.
WRONG = [
    *[(body, "/s", "video/iso.segment", "video/mp4") for body in FMP4.values()],
    *[(MOOF, "/s", declared, "video/mp4") for declared in GENERIC],
    *[(MOOF, "/s.m4s", declared, "video/mp4") for declared in ("video/mp2t", "image/png")],
    (MOOF, "/s.m4a", "video/iso.segment", "audio/mp4"),
    *[(MOOF, "/s.m4a", declared, "audio/mp4") for declared in GENERIC],
    *[(MOOF, "/s", d, "audio/mp4") for d in ("audio/iso.segment", "audio/aac", "audio/x-m4a")],
    *[(TS, "/s.ts", declared, "video/mp2t") for declared in GENERIC],
    *[
        (TS, "/s.ts", declared, "video/mp2t")
        for declared in ("video/mp4", "image/jpeg", "video/vnd.dlna.mpeg-tts")
    ],
    *[(VTT, "/s.vtt", declared, "text/vtt") for declared in GENERIC],
    (VTT, "/s.vtt", "video/mp4", "text/vtt"),
    *[(ENCRYPTED, "/s.ts", declared, "video/mp2t") for declared in GENERIC],
    (ENCRYPTED, "/s.m4s", "video/iso.segment", "video/mp4"),
]
RIGHT = [
    (MOOF, "/s.m4s", 'video/mp4; codecs="avc1.42c00c"'),
    (MOOF, "/s.m4a", "video/mp4"),
    (MOOF, "/s.m4s", "Audio/MP4"),
    (MOOF, "/s.m4s", "application/mp4"),
    (MOOF, "/s.mp4", "video/quicktime"),
    (box(b"ftyp"), "/s.mp4", "video/3gpp"),
    (TS, "/s.ts", "video/MP2T;x=y"),
    (VTT, "/s.vtt", "text/vtt; charset=utf-8"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + b"x" * 60, "/s.webm", "video/webm"),
    (b"\x89PNG\r\n\x1a\n....", "/s.png", "image/png"),
    (b"ID3\4\0\0\0\0\x1f\x76" + b"x" * 400, "/s.mp3", "audio/mp3"),
    (b"no media\n", "/s.txt", "text/plain; charset=utf-8"),
    (b"{}", "/s.json", "application/json"),
    (b"--x\r\n\r\n", "/s.jpg", "multipart/x-mixed-replace; boundary=x"),
]


def origin(body, declared):
    """Answers GET, HEAD and ranges as a file server does."""
    types = [("Content-Type", declared)] if declared else []

    def answer(request):
        if request["If-None-Match"]:
            return status(304, [*types, ("ETag", '"a"')], length=False)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request["Range"] or "")
        code, part, fields = 200, body, types
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
            code, part = 206, body[first : last + 1]
            fields = [*types, ("Content-Range", f"bytes {first}-{last}/{len(body)}")]
        if request.method == "HEAD":
            length = [("Content-Length", str(len(part)))]
            return status(code, [*fields, *length], b"", length=False)
        return status(code, fields, part)

    return answer


class MediaTypes(ProxyTest):
    def types(self, url, links=(("/stream", {}),), ranges=("bytes=0-", "bytes=0-0", "bytes=700-")):
        """The types of a GET, a HEAD, and of parts, by each form of the link."""
        proxy, found = self.proxy(), []
        for route, parameters in links:
            target = stream_path(url, route, **parameters)
            for method, asked in (
                ("GET", None), ("HEAD", None), *(("GET", asked) for asked in ranges),
                ("HEAD", "bytes=0-"),
            ):
                response = proxy.ask(target, {"Range": asked} if asked else (), method)
                self.assertIn(response.status, (200, 206))
                self.assertEqual(response["X-Content-Type-Options"], "nosniff")
                self.assertEqual(len(response.all("Content-Type")) <= 1, True)
                found.append((method, asked, response["Content-Type"]))
        return found

    def test_wrong_and_generic_types_are_corrected(self):
        for body, name, declared, wanted in WRONG:
            with self.subTest(f"{name} {declared} {body[:8]}"):
                up = self.upstream(origin(body, declared))
                for method, asked, found in self.types(up.url(name)):
                    is_seen = method == "GET" and asked in (None, "bytes=0-")
                    if is_seen or "." in name or "iso.segment" in (declared or ""):
                        self.assertEqual(found, wanted, (method, asked))
                self.assertEqual(self.proxy().stream(up.url(name)).body, body)

    def test_right_types_leave_byte_for_byte(self):
        for body, name, declared in RIGHT:
            with self.subTest(declared):
                up = self.upstream(origin(body, declared))
                ranges = ("bytes=0-", "bytes=0-0")
                for method, asked, found in self.types(up.url(name), ranges=ranges):
                    self.assertEqual(found, declared, (method, asked))

    def test_the_name_counts_in_each_form_of_the_link(self):
        up = self.upstream(origin(ENCRYPTED, "text/plain"))
        links = (
            ("/stream", {}),
            ("/stream/x.bin", {}),
            ("/api/proxy/stream", {"referer": "http://a.example/"}),
            ("/api/proxy/stream/seg.m4s", {"sg_ext": ".m4s"}),
        )
        for found in self.types(up.url("/s.m4s?token=a.ts"), links):
            self.assertEqual(found[2], "video/mp4", found)
        for found in self.types(up.url("/get.php?id=1"), (("/stream/seg.m4s", {}),)):
            self.assertEqual(found[2], "video/mp4", found)

    def test_the_name_before_a_redirect_counts_if_the_last_one_has_no_extension(self):
        end = origin(ENCRYPTED, "text/plain")
        up = self.upstream(lambda r: redirect("/blob/77") if r.path == "/s.ts" else end(r))
        for found in self.types(up.url("/s.ts")):
            self.assertEqual(found[2], "video/mp2t", found)

    def test_a_304_has_no_type(self):
        for declared in ("text/plain", "video/iso.segment", "video/mp2t"):
            up = self.upstream(origin(TS, declared))
            response = self.proxy().stream(up.url("/s.ts"), {"If-None-Match": '"a"'})
            self.assertEqual((response.status, response["Content-Type"]), (304, None))

    def test_errors_several_ranges_and_pages_keep_their_type(self):
        for code, declared, wanted in (
            (404, "text/html", "text/plain"),
            (404, "video/iso.segment", "video/iso.segment"),
            (206, "multipart/byteranges; boundary=x", "multipart/byteranges; boundary=x"),
            (200, "text/html", "text/plain"),
        ):
            up = self.upstream(status(code, [("Content-Type", declared)], b"<p>not found</p>"))
            response = self.proxy().stream(up.url("/s.ts"), {"Range": "bytes=0-1,4-5"})
            self.assertEqual((response.status, response["Content-Type"]), (code, wanted))

    def test_the_first_byte_of_a_right_type_is_not_held_back(self):
        for declared, body in (("video/mp2t", TS), ("video/mp4", MOOF)):
            answer = status(200, [("Content-Type", declared)], body)
            end = len(answer.data) - len(body) + 1
            rest, answer.data = answer.data[end:], answer.data[:end]
            answer.wait, answer.body = threading.Event(), lambda rest=rest: [rest]
            up = self.upstream(answer)
            with self.proxy().connect() as client:
                client.request(stream_path(up.url("/s")))
                self.assertEqual(client.read_head()["Content-Type"], declared)
                answer.wait.set()


if __name__ == "__main__":
    main()
