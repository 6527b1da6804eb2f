"""ffmpeg and ffprobe get the same packets through the proxy as from the files."""

import json
import os
import subprocess

from media import FRAMES, SECONDS
from players import MEDIA, PADDING, PlayerTest, main, wait_until


def packets(source, *options):
    """Time, size and checksum of every packet (ffmpeg's framecrc), and the errors."""
    done = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-nostdin",
            *options,
            "-i",
            source,
            "-map",
            "0:v?",
            "-map",
            "0:a?",
            "-c",
            "copy",
            "-copyts",
            "-f",
            "framecrc",
            "-",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [
        line.replace(" ", "")
        for line in done.stdout.split("\n")
        if line and not line.startswith("#")
    ]
    return lines, done.stderr


class Ffmpeg(PlayerTest):
    def assert_plays_like_the_file(self, path, *options, **of_origin):
        origin = self.origin(**of_origin)
        # For local files ffmpeg does not allow the extension .bin of the key by default.
        any_name = ["-allowed_extensions", "ALL"] if path.endswith(".m3u8") else []
        expected, _ = packets(os.path.join(MEDIA, path.lstrip("/")), *any_name)
        played, errors = packets(self.watch_url(origin, path), *options)
        self.assertGreater(len(expected), FRAMES)
        self.assertEqual(errors, "")
        self.assertEqual(played, expected)
        self.assert_all_requests_came_through_the_proxy(origin)
        return origin

    def test_mpeg_ts_plays_like_the_file(self):
        self.assert_plays_like_the_file("/ts/index.m3u8")

    def test_aes_128_and_a_compressed_playlist_play_like_the_file(self):
        gzip = ["-headers", "Accept-Encoding: gzip\r\n"]
        origin = self.assert_plays_like_the_file("/aes/index.m3u8", *gzip, padding=PADDING)
        (playlist,) = wait_until(
            lambda: [line for line in self.last_proxy.access_log() if line["playlist"] == "1"]
        )
        self.assertLess(int(playlist["bytes"]), len(PADDING) // 2)
        self.assertIn("/aes/key.bin", origin.paths())

    def test_multivariant_fmp4_plays_like_the_file(self):
        origin = self.assert_plays_like_the_file("/fmp4/master.m3u8")
        for name in ("small", "large", "low", "high"):
            self.assertIn(f"/fmp4/{name}/init.mp4", origin.paths())

    def test_a_live_window_is_followed_to_its_end(self):
        origin = self.origin()
        played, _ = packets(self.watch_url(origin, "/live/index.m3u8"), "-live_start_index", "0")
        expected, _ = packets(os.path.join(MEDIA, "ts", "index.m3u8"))
        self.assertEqual(len(played), len(expected))
        self.assertGreater(origin.paths().count("/live/index.m3u8"), 2)
        self.assert_all_requests_came_through_the_proxy(origin)

    def test_an_mp4_file_plays_like_the_file(self):
        self.assert_plays_like_the_file("/movie.mp4")

    def test_a_seek_makes_a_range_request_and_gets_the_right_packets(self):
        origin = self.origin()
        seek = ["-ss", "50"]
        played, errors = packets(self.watch_url(origin, "/movie.mp4"), *seek)
        expected, _ = packets(os.path.join(MEDIA, "movie.mp4"), *seek)
        self.assertEqual((played, errors), (expected, ""))
        size = os.path.getsize(os.path.join(MEDIA, "movie.mp4"))
        starts = [
            int(asked.removeprefix("bytes=").split("-")[0])
            for _, asked, status in origin.requests
            if status == 206
        ]
        self.assertTrue(any(start > size // 2 for start in starts), origin.requests)
        self.assert_all_requests_came_through_the_proxy(origin)

    def test_the_api_route_with_a_name_in_the_path_plays(self):
        origin = self.origin()
        played, errors = packets(
            self.watch_url(origin, "/ts/index.m3u8", "/api/proxy/stream/index.m3u8")
        )
        self.assertEqual(errors, "")
        self.assertGreater(len(played), FRAMES)
        self.assert_all_requests_came_through_the_proxy(origin)


class Ffprobe(PlayerTest):
    def test_duration_and_frame_count_are_those_of_the_file(self):
        origin = self.origin()
        done = subprocess.run(
            [
                "ffprobe",
                "-v",
                "error",
                "-count_frames",
                "-show_format",
                "-show_streams",
                "-of",
                "json",
                self.watch_url(origin, "/ts/index.m3u8"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        found = json.loads(done.stdout)
        video = next(s for s in found["streams"] if s["codec_type"] == "video")
        self.assertEqual(int(video["nb_read_frames"]), FRAMES)
        self.assertAlmostEqual(float(found["format"]["duration"]), SECONDS, delta=0.2)
        self.assert_all_requests_came_through_the_proxy(origin)


if __name__ == "__main__":
    main()
