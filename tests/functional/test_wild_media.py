"""Bodies with wrong header fields: a wrong type, a word that is no coding, or a coding that was not
requested. tests/README.md names the public reports."""

import zlib

from harness import ProxyTest, main, stream_path, wait_until
from http_client import gzip
from upstream import playlist, status

TS = (b"\x47\x40\x00\x10" + b"\xff" * 184) * 4
FORMATS = {
    "video/mp2t": TS,
    "video/mp4": b"\0\0\0\x20ftypisom" + b"\0" * 40,
    "video/webm": b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + b"x" * 60,
    "audio/mpeg": b"ID3\4\0\0\0\0\x1f\x76" + b"x" * 400,
    "audio/aac": (b"\xff\xf1\x50\x80\x0c\x9f\xfc" + b"x" * 93) * 2,
    "application/ogg": b"OggS\0\2" + b"\0" * 30,
    "audio/flac": b"fLaC\0\0\0\x22",
    "text/vtt": b"WEBVTT\n\n",
    "image/jpeg": b"\xff\xd8\xff\xe0....",
    "image/png": b"\x89PNG\r\n\x1a\n....",
    "image/webp": b"RIFF\x24\x08\0\0WEBPVP8 ",
    "image/gif": b"GIF89a....",
}
LIES = [None, "text/plain", "text/html", "text/xml", "application/javascript", "application/json"]

LIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + b"#EXTINF:4,\nseg.ts\n" * 50
PLAIN = b"\n".join(LIST.split(b"\n")[1:])  # without #EXTM3U only type or name make it a playlist


def brotli(data):
    """A brotli stream of uncompressed meta-blocks (RFC 7932 9.2), window 16 bits."""
    out, is_first = b"", True
    for at in range(0, len(data), 1 << 16):
        block = data[at : at + (1 << 16)]
        # ISLAST 0, MNIBBLES 0 (four), MLEN - 1, ISUNCOMPRESSED 1; the stream header is one bit 0.
        bits = (len(block) - 1) << 3 | 1 << 19
        out += (bits << 1 if is_first else bits).to_bytes(3, "little") + block
        is_first = False
    return out + b"\x03"


def zstd_frame(*blocks):
    """Blocks are (type, size, bytes): 0 raw, 1 a byte that is repeated (RFC 8878 3.1.1.2)."""
    out = b"\x28\xb5\x2f\xfd\x00\x58"  # a window of 2 MiB
    for i, (kind, size, data) in enumerate(blocks):
        is_last = i + 1 == len(blocks)
        out += (is_last | kind << 1 | size << 3).to_bytes(3, "little") + data
    return out


def zstd(data):
    return zstd_frame((0, len(data), data))


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def typed(body, content_type, fields=(), code=200):
    types = [("Content-Type", content_type)] if content_type else []
    return status(code, [*types, *fields], body)


class Types(ProxyTest):
    def test_media_signatures_win_over_text_scripts_and_no_type(self):
        for wanted, body in FORMATS.items():
            for declared in [*LIES, "text/vtt"]:
                up = self.upstream(typed(body, declared))
                response = self.proxy().stream(up.url("/get.php"))
                self.assertEqual(response["Content-Type"], wanted, declared)
                self.assertEqual(response.body, body)
                self.assertEqual(response["X-Content-Type-Options"], "nosniff")

    def test_pages_scripts_and_pictures_of_text_keep_or_lose_their_type(self):
        for declared, body, wanted in (
            ("text/html", b"<html>", "text/plain"),
            ("application/javascript", b"alert(1)", "text/plain"),
            ("text/xml", b"<?xml version='1.0'?><a/>", "text/xml"),
            ("image/svg+xml", b"<svg/>", "image/svg+xml"),
            ("text/vtt", b"NOTE no signature\n", "text/vtt"),
            (None, b"hello", None),
        ):
            up = self.upstream(typed(body, declared))
            response = self.proxy().stream(up.url("/x"))
            self.assertEqual(response["Content-Type"], wanted)
            self.assertIn("sandbox", response["Content-Security-Policy"])

    def test_a_later_part_has_the_type_of_its_name_or_octet_stream(self):
        part = [("Content-Range", "bytes 400-751/752")]
        for path, wanted in (("/a.ts", "video/mp2t"), ("/get.php", "application/octet-stream")):
            up = self.upstream(typed(TS[400:], "text/html", part, 206))
            response = self.proxy().stream(up.url(path), {"Range": "bytes=400-"})
            self.assertEqual((response.status, response["Content-Type"]), (206, wanted))


class Codings(ProxyTest):
    def assert_rewritten(self, body, coding, content_type="application/x-mpegurl"):
        fields = [("Content-Encoding", coding)] if coding else []
        for piece in (0, 1):
            answer = typed(body, content_type, fields)
            answer.piece = piece
            up = self.upstream(answer)
            response = self.proxy().stream(up.url("/live/i.m3u8"))
            self.assertEqual(response.status, 200, response)
            self.assertIsNone(response["Content-Encoding"])
            self.assertTrue(response.complete)
            self.assertEqual(response.text.count(stream_path(up.url("/live/seg.ts"))), 50)

    def test_words_that_are_no_coding_are_ignored(self):
        for coding in ("utf-8", "none", "aws-chunked", "binary", "UTF-8, none", "*"):
            self.assert_rewritten(LIST, coding, "text/plain")
            self.assert_rewritten(PLAIN, coding)
        self.assert_rewritten(gzip(LIST), "gzip, aws-chunked")

    def test_playlists_in_every_coding_are_decoded(self):
        for body, coding in (
            (brotli(LIST), "br"),
            (zstd(LIST), "zstd"),
            (gzip(LIST), "x-gzip"),
            (zlib.compress(LIST), "deflate"),
            (raw_deflate(LIST), "deflate"),
            (gzip(gzip(LIST)), "gzip, gzip"),
            (brotli(zstd(LIST)), "zstd, br"),
            (gzip(LIST), None),
            (zstd(LIST), None),
        ):
            with self.subTest(coding):
                self.assert_rewritten(body, coding)

    def test_a_plain_playlist_with_a_declared_coding_is_read_as_plain(self):
        for coding in ("gzip", "br", "zstd", "deflate", "gzip, br"):
            self.assert_rewritten(LIST, coding)

    def test_other_bodies_pass_in_their_coding(self):
        for body, coding in ((brotli(TS), "br"), (zstd(TS), "zstd"), (TS, "utf-8")):
            up = self.upstream(typed(body, "video/mp2t", [("Content-Encoding", coding)]))
            response = self.proxy().stream(up.url("/seg.ts"))
            self.assertEqual((response.body, response["Content-Encoding"]), (body, coding))
        twice = [("Content-Encoding", "gzip"), ("Content-Encoding", "br")]
        up = self.upstream(typed(brotli(gzip(TS)), "video/mp2t", twice))
        self.assertEqual(
            self.proxy().stream(up.url("/seg.ts")).all("Content-Encoding"), ["gzip", "br"]
        )

    def test_a_truncated_coding_is_never_a_complete_answer(self):
        for body, coding in ((brotli(LIST), "br"), (zstd(LIST), "zstd")):
            up = self.upstream(playlist(body[:-20], {"Content-Encoding": coding}))
            response = self.proxy().stream(up.url("/i.m3u8"))
            self.assertTrue(response.status == 502 or not response.complete, response)


class Bombs(ProxyTest):
    settings = {"workers": 1, "client": {"write_stall_timeout": "120s"}}
    MIB = 1 << 20

    def test_a_body_that_decodes_to_a_gigabyte_costs_a_stalled_client_its_bound(self):
        line = b"#EXTM3U\n"
        blanks = [(1, 128 * 1024, b"\n")] * 8192
        bomb = zstd_frame((0, len(line), line), *blanks)
        proxy = self.proxy()
        bombs = {
            "zstd": bomb,
            "zstd, gzip": gzip(bomb),
            "gzip, gzip": gzip(gzip(line + b"\n" * (64 * self.MIB))),
        }
        for coding, body in bombs.items():
            with self.subTest(coding):
                up = self.upstream(typed(body, "audio/mpegurl", [("Content-Encoding", coding)]))
                self.stall_clients(proxy, up)

    def stall_clients(self, proxy, up):
        proxy.ask("/health")
        before = proxy.resident_bytes()
        clients = [proxy.connect(receive_buffer=4096) for _ in range(8)]
        for client in clients:
            client.request(stream_path(up.url("/i.m3u8")))
        wait_until(lambda: len(up.requests) == 8, what="all requests")
        for _ in range(20):
            self.assertEqual(proxy.ask("/health").status, 200)
        self.assertLess(proxy.resident_bytes() - before, 8 * 4 * self.MIB)
        for client in clients:
            client.close()

    def test_codings_that_decode_to_nothing_do_not_stop_the_others(self):
        members = gzip(b"") * 400_000  # 8 MB that inflate to nothing
        body = gzip(gzip(LIST) + members)
        up = self.upstream(typed(body, "audio/mpegurl", [("Content-Encoding", "gzip, gzip")]))
        response = self.proxy().stream(up.url("/live/i.m3u8"))
        self.assertEqual(response.text.count(stream_path(up.url("/live/seg.ts"))), 50)


if __name__ == "__main__":
    main()
