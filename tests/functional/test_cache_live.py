"""Viewers of one endless stream share one upstream request and one window of it."""

import os
import random
import shutil
import subprocess
import tempfile
import threading
import unittest

from admin import ADMIN, admin_address, metrics
from harness import main, wait_until, wait_until_stopped
from live_viewers import HEAD, LiveTest, stalled
from transport_stream import PACKET, PADDING, PAT, PMT, frame, group
from upstream import Answer, status


class Live(LiveTest):
    # --- one stream, many viewers

    def test_viewers_begin_with_the_tables_and_the_newest_point(self):
        feed = self.feed()
        up = self.upstream(lambda _: feed.answer)
        proxy = self.own_proxy(self.SMALL)
        feed.send(b"noise" + frame(1) + PADDING + group(1) + group(2) + frame(2900))
        first = self.begin(proxy, up.url("/tv"))
        # The first viewer gets all packets, also those before the tables.
        whole = feed.sent[len(b"noise") :]
        self.assertEqual(self.read(first, len(whole)), whole)
        clients, _ = self.viewers_of_all_workers(proxy, up.url("/tv"))
        self.assertEqual({c.head["X-Streamgate-Cache"] for c in clients}, {"shared"})
        expected = group(2) + frame(2900)
        for client in clients:
            self.assertEqual(self.read(client, len(expected)), expected)
        # All viewers continue. A packet that arrives in two parts is sent as one.
        more = group(3)
        feed.send(more[:1000])
        feed.send(more[1000:])
        self.assertEqual(self.read(first, len(whole + more)), whole + more)
        for client in clients:
            self.assertEqual(self.read(client, len(expected + more)), expected + more)
        self.assertEqual(len(up.requests), 1)

    def test_before_any_point_a_viewer_begins_at_the_first_packet(self):
        feed = self.feed()
        up = self.upstream(lambda _: feed.answer)
        feed.send(frame(1) + frame(2) + PAT + PMT)
        proxy = self.proxy()
        first = self.begin(proxy, up.url("/tv"))
        self.read(first, len(feed.sent))
        self.assertEqual(self.read(self.begin(proxy, up.url("/tv")), len(feed.sent)), feed.sent)

    def test_other_streams_begin_at_the_newest_byte(self):
        feed = self.feed(b"audio/mpeg")
        up = self.upstream(lambda _: feed.answer)
        feed.send(b"begin" * 40_000)
        proxy = self.own_proxy(self.SMALL)
        first = self.begin(proxy, up.url("/radio"))
        self.read(first, 200_000)
        second = self.watch(proxy, up.url("/radio"))
        proxy.pid_serving(second)
        feed.send(b"more")
        self.assertEqual(second.read_head()["X-Streamgate-Cache"], "shared")
        self.assertEqual(self.read(second, 4), b"more")
        self.assertEqual(self.read(first, 200_004), feed.sent)

    def test_a_viewer_who_comes_soon_after_the_first_one_gets_all(self):
        # A segment of a playlist may have no length, too.
        for content_type, begun, rest in (
            (b"video/mp2t", group(1) + group(2), group(3)),
            (b"audio/aac", b"begun" * 1000, b"rest"),
        ):
            feed = self.feed(content_type)
            up = self.upstream(lambda _, feed=feed: feed.answer)
            proxy = self.own_proxy()
            feed.send(begun)
            self.read(self.begin(proxy, up.url("/1.ts")), len(begun))
            clients, _ = self.viewers_of_all_workers(proxy, up.url("/1.ts"))
            feed.send(rest)
            feed.end()
            self.assertEqual({c.head["X-Streamgate-Cache"] for c in clients}, {"shared"})
            for client in clients:
                self.assertEqual(client.read_to_end(), begun + rest)
            self.assertEqual(len(up.requests), 1)

    def test_the_end_is_for_all_with_the_last_part_of_a_packet(self):
        feed = self.feed()
        up = self.upstream(lambda _: feed.answer)
        feed.send(group(1))
        proxy = self.own_proxy()
        clients, _ = self.viewers_of_all_workers(proxy, up.url("/tv"))
        feed.send(group(2) + b"\x47rest")
        feed.end()
        for client in clients:
            body = client.read_to_end()
            self.assertEqual((body, client.end), (feed.sent, "fin"))
        # A new viewer causes a new request.
        wait_until(lambda: len(up.requests) == 1)
        self.watch(proxy, up.url("/tv"))
        wait_until(lambda: len(up.requests) == 2)

    def test_a_stream_that_breaks_breaks_for_all(self):
        feed = self.feed(b"video/mp2t", "reset")
        up = self.upstream(lambda _: feed.answer)
        feed.send(group(1))
        proxy = self.proxy()
        clients = [self.begin(proxy, up.url("/tv")) for _ in range(4)]
        for client in clients:
            self.read(client, len(feed.sent))
        feed.end()
        for client in clients:
            self.assertEqual(client.read_to_end(), feed.sent)
            self.assertEqual(client.end, "reset")

    def test_a_live_link_is_continued_for_all(self):
        feeds = [self.feed(), self.feed()]
        answers = [feed.answer for feed in feeds]
        up = self.upstream(lambda _: answers.pop(0) if answers else status(404))
        feeds[0].send(group(1))
        feeds[1].send(group(2))
        proxy = self.proxy()
        clients = [self.begin(proxy, up.url("/tv"), sg_live="1") for _ in range(6)]
        for client in clients:
            self.read(client, len(group(1)))
        feeds[0].send(group(3)[:100])
        feeds[0].end()
        # The part of a packet is dropped.
        for client in clients:
            self.assertEqual(self.read(client, 2 * len(group(1))), group(1) + group(2))
        self.assertEqual(len(up.requests), 2)

    # --- what is not shared

    def test_an_encrypted_segment_without_a_length_arrives_whole(self):
        # As it happens, the distance of two bytes, and of three, is that of packets.
        body = bytearray(random.Random(3).randbytes(100_000))
        for at in (300, 2000):
            body[at] = body[at + PACKET] = body[at + 2 * PACKET] = 0x47
        for first in (600, 4000):
            feed = self.feed()
            up = self.upstream(lambda _, feed=feed: feed.answer)
            proxy = self.proxy()
            feed.send(bytes(body[:first]))
            client = self.watch(proxy, up.url("/1.ts"))  # another one would take from the feed too
            wait_until(lambda up=up: up.requests)
            feed.send(bytes(body[first:]))
            feed.end()
            self.assertTrue(client.read_head()["X-Streamgate-Cache"])
            self.assertTrue(client.read_to_end() == body)

    def test_bodies_that_are_not_live_have_a_fetch_for_each_client(self):
        for content_type, body in (
            (b"application/octet-stream", b"anything"),
            (b"video/mp4", b"\0\0\0\x18ftypisom" + b"\0" * 20),
            (b"application/ogg", b"OggS\0\2" + b"\0" * 40),
            (b"video/mp2t", b"Go: too short"),
            (b"video/mp2t", b""),
        ):
            with self.subTest(content_type=content_type, body=body):
                up = self.upstream(lambda _: Answer(HEAD % content_type + body, "close"))
                client = self.watch(self.proxy(), up.url("/x"))
                self.assertEqual(client.read_head()["X-Streamgate-Cache"], "pass")
                self.assertEqual((client.read_to_end(), client.end), (body, "fin"))

    def test_a_body_that_is_no_transport_stream_is_relayed_as_it_is(self):
        body = bytes(range(1, 64)) * 200
        up = self.upstream(lambda _: Answer(HEAD % b"video/mp2t" + body, "close"))
        client = self.watch(self.proxy(), up.url("/x"))
        self.assertEqual(client.read_head().status, 200)
        self.assertEqual(client.read_to_end(), body)

    def test_a_range_does_not_join(self):
        up = self.upstream(lambda _: stalled(group(1)))
        proxy = self.proxy()
        self.read(self.begin(proxy, up.url("/tv")), len(group(1)))
        part = self.begin(proxy, up.url("/tv"), {"Range": "bytes=5000-"})
        self.assertEqual(part.head["X-Streamgate-Cache"], "pass")
        self.assertEqual(len(up.requests), 2)
        whole = self.begin(proxy, up.url("/tv"), {"Range": "bytes=0-"})
        self.assertEqual(whole.head["X-Streamgate-Cache"], "shared")

    def test_without_room_for_a_window_it_is_relayed(self):
        up = self.upstream(lambda _: stalled(group(1)))
        proxy = self.proxy(cache={"memory": "4MiB", "object_size": "1MiB"})
        for count in (1, 2):
            client = self.begin(proxy, up.url("/tv"))
            self.assertEqual(client.head["X-Streamgate-Cache"], "pass")
            self.assertEqual(self.read(client, len(group(1))), group(1))
            self.assertEqual(len(up.requests), count)

    def test_a_file_without_a_length_is_read_at_the_viewers_speed(self):
        body = b"".join(group(i, 40) for i in range(300))
        up = self.upstream(lambda _: self.in_pieces(body, "close"))
        proxy = self.proxy(**self.SMALL)
        slow = self.begin(proxy, up.url("/film"), receive_buffer=4096)
        wait_until(lambda: self.is_waiting(up), what="the fetch to wait")
        self.assertTrue(slow.read_to_end() == body)

    def test_a_stream_that_comes_faster_than_it_is_played_does_not_linger(self):
        body = b"".join(group(i, 40) for i in range(400))
        up = self.upstream(lambda _: self.in_pieces(body, "stall"))
        cache = {**self.SMALL["cache"], "linger": "60s"}
        proxy = self.proxy(**{**self.SMALL, "cache": cache})
        slow = self.begin(proxy, up.url("/film"), receive_buffer=4096)
        wait_until(lambda: up.answers)
        wait_until_stopped(up.answers[0])
        slow.reset()
        self.assertTrue(up.answers[0].closed.wait(15))
        # The next viewer gets the begin.
        again = self.begin(proxy, up.url("/film"))
        self.assertEqual(again.head["X-Streamgate-Cache"], "miss")
        self.assertEqual(self.read(again, 10_000)[:10_000], body[:10_000])

    def test_a_stream_lingers_although_its_viewer_had_paused(self):
        feed = self.feed()
        up = self.upstream([feed.answer, stalled(group(1))])
        cache = {**self.SMALL["cache"], "linger": "60s"}
        proxy = self.own_proxy({**self.SMALL, "cache": cache})
        feed.send(b"".join(group(i, 40) for i in range(400)))
        viewer = self.begin(proxy, up.url("/tv"), receive_buffer=65536)
        wait_until_stopped(feed.answer)
        self.assertTrue(self.read(viewer, len(feed.sent)) == feed.sent)
        # Each group comes at a tick of its own.
        for number in range(110):
            viewer.pending = b""
            feed.send(group(number))
            self.assertEqual(self.read(viewer, len(group(number))), group(number))
        viewer.reset()
        wait_until(lambda: any(e["reason"] == "client_gone" for e in proxy.access_log()))
        again = self.begin(proxy, up.url("/tv"))
        self.assertEqual(again.head["X-Streamgate-Cache"], "shared")
        self.assertEqual(len(up.requests), 1)

    @staticmethod
    def in_pieces(body, then):
        pieces = [body[i : i + 50_000] for i in range(0, len(body), 50_000)]
        return Answer(HEAD % b"video/mp2t", then, body=lambda: pieces)

    @staticmethod
    def is_waiting(up):
        """Whether the upstream can send nothing for a while."""
        before = up.answers[0].sent if up.answers else 0
        return before > 0 and not threading.Event().wait(0.2) and up.answers[0].sent == before

    # --- slow viewers

    def outrun(self, proxy, content_type, pieces):
        """A viewer that does not read while another one reads the whole stream to its end."""
        feed = self.feed(content_type)
        up = self.upstream(lambda _: feed.answer)
        half = len(pieces) // 2
        for piece in pieces[:half]:
            feed.send(piece)
        slow = self.begin(proxy, up.url("/tv"), receive_buffer=4096)
        # The fetch waits for it, so the viewer that reads is in front from its first byte on.
        wait_until(lambda: up.answers)
        wait_until_stopped(up.answers[0])
        fast = self.watch(proxy, up.url("/tv"))
        proxy.pid_serving(fast)
        for piece in pieces[half:]:
            feed.send(piece)
        feed.end()
        self.assertEqual(fast.read_head()["X-Streamgate-Cache"], "shared")
        body = fast.read_to_end()
        self.assertGreater(len(body), len(feed.sent) // 2)
        self.assertTrue(feed.sent.endswith(body))
        self.assertEqual(len(up.requests), 1)
        return slow, feed.sent

    def test_a_slow_viewer_of_ts_is_moved_to_the_newest_point(self):
        groups = [group(i, 40) for i in range(160)]
        proxy = self.own_proxy({**self.SMALL, "admin": ADMIN})
        slow, sent = self.outrun(proxy, b"video/mp2t", groups)
        body = slow.read_to_end()
        moves = metrics(admin_address(proxy))["streamgate_cache_window_moves_total"]
        self.assertGreater(moves, 0)
        self.assertEqual(slow.end, "fin")
        self.assertEqual(len(body) % PACKET, 0)
        self.assertLess(len(body), len(sent))
        self.assertTrue(body.endswith(groups[-1]))
        # It is made of parts of the stream, in their order; each later one begins at a point.
        at, parts = 0, 0
        while at < len(body):
            parts += 1
            tables = 2 * PACKET if parts > 1 else 0
            self.assertEqual(body[at : at + tables], (PAT + PMT) if tables else b"")
            found = sent.find(body[at : at + tables + PACKET])
            self.assertGreaterEqual(found, 0)
            size = len(os.path.commonprefix([body[at:], sent[found:]]))
            size -= size % PACKET
            at, sent = at + size, sent[found + size :]
        self.assertGreater(parts, 1)

    def test_a_slow_viewer_of_another_stream_is_cut(self):
        pieces = [b"%7d." % i * 4096 for i in range(160)]
        proxy = self.own_proxy(self.SMALL)
        slow, sent = self.outrun(proxy, b"audio/mpeg", pieces)
        body = slow.read_to_end()
        self.assertLess(len(body), len(sent))
        self.assertTrue(sent.startswith(body))
        wait_until(lambda: any(e["reason"] == "client_too_slow" for e in proxy.access_log()))

    # --- the last viewer

    def test_the_fetch_lingers_after_its_last_viewer(self):
        answer = stalled(group(1))
        up = self.upstream(lambda _: answer)
        proxy = self.own_proxy({"cache": {"memory": "64MiB", "linger": "4s"}})
        for outcome in ("miss", "shared"):
            client = self.begin(proxy, up.url("/tv"))
            self.assertEqual(client.head["X-Streamgate-Cache"], outcome)
            self.assertEqual(self.read(client, len(group(1))), group(1))
            client.reset()
            self.assertFalse(answer.closed.wait(0.5))
        self.assertTrue(answer.closed.wait(15))
        self.assertEqual(len(up.requests), 1)

    def test_it_does_not_linger_without_linger(self):
        answer = stalled(group(1))
        up = self.upstream(lambda _: answer)
        client = self.begin(self.proxy(cache={"memory": "64MiB", "linger": "0s"}), up.url("/tv"))
        self.read(client, len(group(1)))
        client.reset()
        self.assertTrue(answer.closed.wait(15))

    # --- a real player

    @unittest.skipUnless(shutil.which("ffmpeg") and shutil.which("ffprobe"), "needs ffmpeg")
    def test_the_first_picture_of_a_new_viewer_is_a_key_frame(self):
        show = ["ffmpeg", "-hide_banner", "-encoders"]
        encoders = subprocess.run(show, capture_output=True, text=True, check=True).stdout
        for codec in ("libx264", "libx265", "mpeg2video"):
            with self.subTest(codec):
                if f" {codec} " not in encoders:
                    self.skipTest(f"ffmpeg has no {codec}")
                self.check_first_picture(codec)

    def check_first_picture(self, codec):
        make = ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi"]
        make += ["-i", "testsrc=size=160x120:rate=25:duration=2", "-pix_fmt", "yuv420p"]
        make += ["-c:v", codec, "-g", "20", "-f", "mpegts", "-"]
        made = subprocess.run(make, capture_output=True, check=False).stdout
        self.assertTrue(made, "no stream")
        feed = self.feed()
        up = self.upstream(lambda _: feed.answer)
        # The last group is not complete, and ends inside a picture.
        cut = len(made) // PACKET * 9 // 10 * PACKET
        feed.send(PADDING + made[:cut])
        proxy = self.proxy(**self.SMALL)
        self.read(self.begin(proxy, up.url("/tv")), len(PADDING) + cut)
        client = self.begin(proxy, up.url("/tv"))
        feed.send(made[cut:])
        feed.end()
        body = client.read_to_end()
        self.assertLess(len(body), cut)
        with tempfile.NamedTemporaryFile(suffix=".ts") as file:
            file.write(body)
            file.flush()
            show = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_frames"]
            show += ["-show_entries", "frame=key_frame,pict_type", "-of", "csv=p=0", file.name]
            frames = subprocess.run(show, capture_output=True, text=True, check=True).stdout.split()
        self.assertTrue(frames[0].startswith("1,I"), frames[:3])
        self.assertGreater(len(frames), 5)


if __name__ == "__main__":
    main()
