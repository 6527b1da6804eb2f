"""Response heads that every player reads although RFC 9112 forbids them, and heads that stay
refused. The client gets a head that the proxy has written. The connection is not used again."""

from harness import ProxyTest, main
from http_client import gzip
from upstream import Answer, playlist

LENGTH = b"Content-Length: 5\r\n"
USUAL = b"HTTP/1.1 200 OK\r\n"
MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n"


class Heads(ProxyTest):
    def assert_plays(self, head, body=b"hello", then="keep", whole=b"hello", again=False):
        """The answer is relayed; `again`: the next request has the same connection."""
        for piece in (0, 1):
            up = self.upstream(lambda _, piece=piece: Answer(head + b"\r\n" + body, then, piece))
            for _ in range(2):
                response = self.proxy().stream(up.url("/a.ts"))
                self.assertEqual((response.status, response.body), (200, whole), (head, response))
                self.assertTrue(response.complete)
            self.assertEqual(up.connections, 1 if again else 2, head)
        return response

    def assert_refused(self, head, body=b"hello"):
        up = self.upstream(Answer(head + b"\r\n" + body, "close"))
        self.assert_error(self.proxy().stream(up.url("/a.ts")), 502, "bad_response")

    def test_the_connection_of_a_usual_head_is_used_again(self):
        self.assert_plays(USUAL + LENGTH, again=True)

    def test_another_version_is_read_as_http_1(self):
        for version in (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/2", b"HTTP/1", b"http/1.1", b"HTTP/5.6"):
            self.assert_plays(version + b" 200 OK\r\n" + LENGTH)
        self.assert_plays(b"HTTP/0.9 200 OK\r\n", then="close")
        self.assert_plays(b"icy 200 OK\r\n", then="close")

    def test_blanks_in_front_of_the_status_are_skipped(self):
        self.assert_plays(b"HTTP/1.1   200 OK\r\n" + LENGTH)
        self.assert_plays(b"HTTP/1.0  200\r\n" + LENGTH)

    def test_other_status_lines_are_refused(self):
        for line in (b"HTTP/1.10 200 OK", b"HTTP/01.1 200 OK", b"HTTP/1. 200 OK", b"HTTP/ 200 OK",
                     b"HTTP/1.1\t200 OK", b"HTTP/1.2z 200 OK", b"HTTP/x 200 OK", b"HTTP/1.1  OK",
                     b"HTTP/1.1 20 OK", b"HTTP/1.1 200X", b"HTTP/1.1", b"RTSP/1.0 200 OK"):
            self.assert_refused(line + b"\r\n" + LENGTH)

    def test_a_folded_field_is_one_line(self):
        response = self.assert_plays(
            USUAL + b"Content-Type: video/mp2t;\r\n charset=x\r\nETag:\r\n\t\"1\"\r\n" + LENGTH
        )
        self.assertEqual(response["Content-Type"].replace(" ", ""), "video/mp2t;charset=x")
        self.assertEqual(response["ETag"], '"1"')
        self.assert_plays(USUAL + b"Content-Length:\n 5\n")
        chunked = b"5\r\nhello\r\n0\r\n\r\n"
        self.assert_plays(USUAL + b"Transfer-Encoding:\r\n chunked\r\n", chunked)
        self.assert_refused(USUAL + b"Content-Length: 5\r\n 1\r\n")
        self.assert_refused(USUAL + b" X: folded\r\n" + LENGTH)

    def test_blanks_in_front_of_a_colon_are_removed(self):
        response = self.assert_plays(USUAL + b'Content-Length : 5\r\nETag\t : "1"\r\n')
        self.assertEqual((response["ETag"], response["Content-Length"]), ('"1"', "5"))
        chunked = b"5\r\nhello\r\n0\r\n\r\n"
        self.assert_plays(USUAL + b"Transfer-Encoding : chunked\r\n", chunked)

    def test_a_name_that_is_no_token_is_dropped(self):
        for field in (
            b"X(A): 1\r\n", b"X/Y: 1\r\n", "Ünï: 1\r\n".encode(), b'"A": 1\r\n folded\r\n'
        ):
            self.assert_plays(USUAL + field + LENGTH)
        for field in (b": 1\r\n", b" : 1\r\n", b"no colon\r\n", b"X Y: 1\r\n", b"X\x01Y: 1\r\n",
                      b"A: 1\rB: 2\r\n", b"A: 1\0\r\n"):
            self.assert_refused(USUAL + field + LENGTH)

    def test_a_second_status_line_and_a_date_without_a_name_are_dropped(self):
        response = self.assert_plays(
            b"HTTP/1.0 200 OK\r\nHTTP/1.0 404 Not Found\r\nServer: MJPG-Streamer/0.2\r\n"
            b"Content-Type: multipart/x-mixed-replace;boundary=b\r\n",
            then="close",
        )
        self.assertEqual(response["Content-Type"], "multipart/x-mixed-replace;boundary=b")
        date = b"Tue, 12 Jun 2012 01:56:34 GMT\r\n"
        response = self.assert_plays(USUAL + b'ETag: "1"\r\n' + date + b" folded\r\n" + LENGTH)
        self.assertEqual(response["ETag"], '"1"')
        for line in (b"HTTP/1.1 200 OK\r\n", b"Tue, 12 Jun 2012\r\n",
                     date[1:], b"Tue, 12 Jun 2012 01:56:34 CET\r\n"):
            self.assert_refused(USUAL + line + LENGTH)

    def test_framing_stays_strict(self):
        for fields in (b"Content-Length : 5\r\nContent-Length: 6\r\n",
                       b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
                       b"Transfer-Encoding: chunked\r\n , chunked\r\n",
                       b"Content-Length: +5\r\n", b"Content-Length: 5.0\r\n"):
            self.assert_refused(USUAL + fields)

    def test_long_heads_are_read_within_a_bound(self):
        many = b"".join(b"X-%d: y\r\n" % i for i in range(900))
        for fields in (b"X-Long: " + b"a" * 100_000 + b"\r\n", many):
            up = self.upstream(Answer(USUAL + fields + LENGTH + b"\r\nhello"))
            self.assertEqual(self.proxy().stream(up.url("/a.ts")).body, b"hello")
        self.assert_refused(USUAL + b"X-Long: " + b"a" * 140_000 + b"\r\n" + LENGTH)
        self.assert_refused(USUAL + many + many + LENGTH)

    def test_interim_heads_may_be_odd_too(self):
        for again, field in ((True, b"Link: </a>\r\n"), (False, b"Link : </a>\r\n")):
            interim = b"HTTP/1.1 103 Hints\r\n" + field + b"\r\n"
            self.assert_plays(interim + USUAL + LENGTH, again=again)


class Playlists(ProxyTest):
    def test_a_playlist_compressed_once_and_labelled_twice_is_decoded(self):
        for fields in ([("Content-Encoding", "gzip")] * 2, [("Content-Encoding", "gzip, gzip")]):
            for data in (gzip(MEDIA.encode()), gzip(gzip(MEDIA.encode()))):
                for answer in (playlist(data, fields), playlist(data, fields).bytewise()):
                    response = self.proxy().stream(self.upstream(answer).url("/a.m3u8"))
                    self.assertIn("/stream?url=", response.text)
                    self.assertIsNone(response["Content-Encoding"])


if __name__ == "__main__":
    main()
