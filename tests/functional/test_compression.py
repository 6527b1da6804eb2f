"""Rewritten documents leave gzip-coded from `hls.compress_from` on."""

import contextlib
import hashlib
import json
import threading
import zlib

from harness import ProxyTest, main, stream_path, wait_until
from upstream import Answer, chunked, ok, playlist

GZIP = {"Accept-Encoding": "gzip, deflate, br"}
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
LIMIT = 16 * 1024


def segments(count, first=0):
    return "".join(f"#EXTINF:4,\nseg-{i:05}.ts\n" for i in range(first, first + count))


LONG = HEAD + segments(2000)


def decoded(body):
    """The text of a gzip stream, and whether it has its end."""
    unpacker = zlib.decompressobj(31)
    text = unpacker.decompress(body)
    return text.decode(), unpacker.eof


class Compression(ProxyTest):
    def rewritten(self, up):
        """The plain text."""
        return self.proxy().stream(up.url("/v/i.m3u8")).text

    def assert_coded(self, response, wanted):
        self.assertTrue(response.complete, response)
        self.assertEqual(response["Content-Encoding"], "gzip")
        text, is_whole = decoded(response.body)
        self.assertTrue(text == wanted and is_whole)  # the differences would take minutes to print

    def assert_plain(self, response, wanted):
        self.assertTrue(response.complete, response)
        self.assertIsNone(response["Content-Encoding"])
        self.assertTrue(response.text == wanted)

    def test_a_long_list_is_coded_for_a_client_that_accepts_it(self):
        up = self.upstream(playlist(LONG))
        wanted = self.rewritten(up)
        self.assertEqual(wanted.count(stream_path(up.url("/v/seg-"))), 2000)
        host = {"Host": f"127.0.0.1:{self.proxy().port}"}
        for version, fields in (("1.1", GZIP), ("1.0", {**GZIP, **host})):
            response = self.proxy().stream(up.url("/v/i.m3u8"), fields, version=version)
            self.assert_coded(response, wanted)
            self.assertLess(len(response.body), len(wanted) // 10)
            self.assertEqual(response["Vary"], "Accept-Encoding")
            self.assertEqual(response["Content-Type"], "application/vnd.apple.mpegurl")

    def test_the_limit_is_that_of_the_rewritten_text(self):
        count = next(n for n in range(1, 999) if self.size_of(n) >= LIMIT)
        for number, is_coded in ((count - 1, False), (count, True)):
            up = self.upstream(playlist(HEAD + segments(number)))
            wanted = self.rewritten(up)
            self.assertEqual(len(wanted) >= LIMIT, is_coded)
            response = self.proxy().stream(up.url("/v/i.m3u8"), GZIP)
            self.assertIsNotNone(response["Content-Length"])
            (self.assert_coded if is_coded else self.assert_plain)(response, wanted)
            self.assertEqual(response["Vary"], "Accept-Encoding")

    def size_of(self, count):
        link = stream_path("http://127.0.0.1:12345/v/seg-00000.ts")
        origin = f"http://127.0.0.1:{self.proxy().port}"
        return len(HEAD) + count * (len("#EXTINF:4,\n\n") + len(origin) + len(link))

    def test_the_weights_of_accept_encoding_decide(self):
        up = self.upstream(playlist(LONG))
        wanted = self.rewritten(up)
        for accepted, is_coded in (
            ("identity;q=0, *", True),
            ("GZIP;q=0.5", True),
            ("gzip;q=0, *", False),
            ("identity, *;q=0", False),
            ("gzip;q=0.2, identity;q=0.9", False),
            ("br", False),
            ("", False),
        ):
            with self.subTest(accepted):
                response = self.proxy().stream(up.url("/v/i.m3u8"), {"Accept-Encoding": accepted})
                (self.assert_coded if is_coded else self.assert_plain)(response, wanted)

    def test_credentials_from_another_site_get_no_coded_answer(self):
        up = self.upstream(playlist(LONG))
        wanted = self.rewritten(up)
        cross = {**GZIP, "Sec-Fetch-Site": "cross-site"}
        for fields, is_coded in (
            (cross, True),
            ({**cross, "Cookie": "a=b"}, False),
            ({**cross, "Authorization": "Basic eDp5"}, False),
            ({**GZIP, "Cookie": "a=b"}, True),
            ({**GZIP, "Cookie": "a=b", "Sec-Fetch-Site": "same-origin"}, True),
        ):
            with self.subTest(fields):
                response = self.proxy().stream(up.url("/v/i.m3u8"), fields)
                (self.assert_coded if is_coded else self.assert_plain)(response, wanted)

    def test_vary_is_merged_and_validators_stay_away(self):
        fields = [("Vary", "Accept"), ("Vary", "Origin"), ("ETag", '"a"')]
        up = self.upstream(playlist(LONG, fields))
        for method in ("GET", "HEAD"):
            response = self.proxy().stream(up.url("/v/i.m3u8"), GZIP, method)
            self.assertEqual(response.all("Vary"), ["Accept, Origin, Accept-Encoding"])
            self.assertIsNone(response["ETag"])
        self.assertIsNone(response["Content-Encoding"])

    def test_other_bodies_are_not_coded(self):
        up = self.upstream(playlist(b"x" * 100_000, content_type="text/plain"))
        response = self.proxy().stream(up.url("/a"), GZIP)
        self.assertEqual((response.body, response["Vary"]), (b"x" * 100_000, None))

    def test_lists_in_small_pieces_and_of_coded_upstreams_are_coded(self):
        up = self.upstream(chunked(LONG.encode(), content_type="audio/mpegurl", size=700))
        self.assert_coded(self.proxy().stream(up.url("/v/i.m3u8"), GZIP), self.rewritten(up))
        packer = zlib.compressobj(wbits=31)
        body = packer.compress(LONG.encode()) + packer.flush()
        up = self.upstream(playlist(body, {"Content-Encoding": "gzip"}))
        self.assert_coded(self.proxy().stream(up.url("/v/i.m3u8"), GZIP), self.rewritten(up))

    def paused(self, first, rest, length):
        """An upstream that sends `first`, waits for the event, and sends `rest`."""
        head = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpegurl\r\n"
        head += f"Content-Length: {len(first + rest)}\r\n\r\n" if length else "\r\n"
        answer = Answer((head + first).encode(), wait=threading.Event())
        answer.body = lambda: [rest.encode()]
        return self.upstream(answer if length else answer.after("close")), answer.wait

    def test_each_piece_of_a_slow_upstream_reaches_the_client(self):
        for first, length in ((segments(300), False), (segments(1), True)):
            up, gate = self.paused(HEAD + first, segments(700, 300), length)
            with self.proxy().connect() as client:
                client.request(stream_path(up.url("/v/i.m3u8")), GZIP)
                head = client.read_head()
                self.assertEqual(head["Content-Encoding"], "gzip")
                got = b""

                def has_first(client=client, first=first):
                    text = decoded(self.unchunked(client.pending))[0]
                    if text.count("#EXTINF") == first.count("#EXTINF") and text.endswith(".ts\n"):
                        return True
                    client.receive_more()
                    return False

                wait_until(has_first, what="the first piece")
                gate.set()
                wait_until(
                    lambda c=client: not c.receive_more() or b"0\r\n\r\n" in c.pending[-8:]
                )
                got = self.unchunked(client.pending)
                text, is_whole = decoded(got)
                self.assertTrue(is_whole)
                self.assertEqual(text.count("#EXTINF"), first.count("#EXTINF") + 700)

    @staticmethod
    def unchunked(data):
        out = b""
        while b"\r\n" in data:
            size, data = data.split(b"\r\n", 1)
            out += data[: int(size, 16)]
            data = data[int(size, 16) + 2 :]
        return out

    def test_a_short_piece_of_a_slow_upstream_reaches_the_client_too(self):
        up, gate = self.paused(HEAD + segments(1), segments(1, 1), False)
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/v/i.m3u8")), GZIP)
            self.assertIsNone(client.read_head()["Content-Encoding"])
            wait_until(lambda: b"seg-00000" in client.pending or not client.receive_more())
            gate.set()
            wait_until(lambda: b"0\r\n\r\n" in client.pending or not client.receive_more())
            self.assertIn(b"seg-00001", client.pending)

    def test_a_cut_list_has_no_end(self):
        up, gate = self.paused(HEAD + segments(1000), "#EXTINF:4,\nseg-", True)
        up.script.body = lambda: [b"#EXTINF:4,\nse"]
        up.script.after("close")
        with self.proxy().connect() as client:
            client.request(stream_path(up.url("/v/i.m3u8")), GZIP)
            self.assertEqual(client.read_head().status, 200)
            gate.set()
            wait_until(lambda: not client.receive_more())
            text, is_whole = decoded(self.unchunked(client.pending))
            self.assertFalse(is_whole or client.pending.endswith(b"0\r\n\r\n"))
            self.assertEqual(text.count("#EXTINF"), 1001)
            self.assertTrue(text.endswith("#EXTINF:4,\n"), text[-40:])

    def test_a_document_that_is_held_until_its_end_is_coded(self):
        names = (hashlib.sha256(b"%d" % i).hexdigest()[:32] for i in range(20_000))
        assets = json.dumps({"ASSETS": [{"URI": name} for name in names]})
        up = self.upstream(ok(assets.encode(), content_type="application/json"))
        proxy = self.proxy()
        target = stream_path(up.url("/v/a.json"), sg_k="assets")
        wanted = proxy.ask(target).text
        self.assertEqual(wanted.count(proxy.origin + stream_path(up.url("/v/"))), 20_000)
        with proxy.connect(receive_buffer=4096) as client:  # it is full again and again
            client.request(target, GZIP)
            self.assert_coded(client.read_response(), wanted)

    def test_the_head_of_a_held_document_outlives_the_connection(self):
        text = json.dumps({"ASSETS": [{"URI": f"{number}.m3u8"} for number in range(20_000)]})
        date = "Mon, 01 Jan 2024 00:00:00 GMT"
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Date: {date}\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        up = self.upstream(Answer((head + text).encode(), "close"))
        proxy = self.proxy()
        target = stream_path(up.url("/v/a.json"), sg_k="assets")
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(proxy.connect()) for _ in range(8)]
            for client in clients:
                client.request(target, GZIP)
            for client in clients:
                response = client.read_response()
                self.assertEqual(response["Date"], date)
                self.assertIn("19999.m3u8", decoded(response.body)[0])

    def test_the_memory_for_stalled_clients_is_bounded(self):
        body = HEAD + "".join(f"{zlib.crc32(b'%d' % i):x}{i * i:x}\n" for i in range(100_000))
        up, proxy = self.upstream(playlist(body)), self.proxy()
        proxy.stream(up.url("/v/i.m3u8"), GZIP)
        before = proxy.resident_bytes()
        clients = [proxy.connect(receive_buffer=4096) for _ in range(8)]
        for client in clients:
            client.request(stream_path(up.url("/v/i.m3u8")), GZIP)
        wait_until(lambda: len(up.requests) == 9, what="all requests")
        for _ in range(20):
            self.assertEqual(proxy.ask("/health").status, 200)
        self.assertLess(proxy.resident_bytes() - before, 8 * (1 << 20))
        for client in clients:
            client.close()


class SwitchedOff(ProxyTest):
    settings = {"hls": {"compress_from": 0}}

    def test_zero_switches_compression_off(self):
        up = self.upstream(playlist(LONG))
        response = self.proxy().stream(up.url("/v/i.m3u8"), GZIP)
        self.assertIsNone(response["Content-Encoding"])
        self.assertIsNone(response["Vary"])


if __name__ == "__main__":
    main()
