"""hls.js in Chromium, on a page of another origin, plays to the end without errors."""

from media import SECONDS
from player_page import PlayerPage
from players import PADDING, main


class HlsJs(PlayerPage):
    def play(self, origin, path, end=SECONDS):
        report = self.open([self.watch_url(origin, path)])
        self.assertAlmostEqual(report["currentTime"], end, delta=0.5)
        self.assert_all_requests_came_through_the_proxy(origin)
        return report

    def test_multivariant_with_audio_and_subtitles_plays(self):
        origin = self.origin()
        report = self.play(origin, "/fmp4/master.m3u8")
        self.assertEqual((report["levels"], report["audioTracks"]), (2, 2))
        self.assertIn("line 0", report["cues"])
        self.assertIn("line 4", report["cues"])

    def test_aes_128_and_a_compressed_playlist_play(self):
        origin = self.origin(padding=PADDING)
        report = self.play(origin, "/aes/index.m3u8")
        self.assertEqual(report["compressed"], 1)
        self.assertIn("/aes/key.bin", origin.paths())

    def test_a_live_window_plays_to_its_end(self):
        origin = self.origin()
        self.play(origin, "/live/index.m3u8")
        self.assertGreater(origin.paths().count("/live/index.m3u8"), 2)

    def test_variables_of_all_three_kinds_play(self):
        origin = self.origin()
        self.play(origin, "/define/master.m3u8?token=a%2Bb", end=4)
        self.assertIn("/define/index.m3u8?t=a+b", origin.targets)
        self.assertIn("/ts/seg-1.ts?a+b-a+b", origin.targets)

    def test_low_latency_plays_with_held_reloads(self):
        origin = self.origin()
        self.play(origin, "/low-latency/index.m3u8")
        held = [target for target in origin.targets if "_HLS_msn=" in target]
        self.assertIn("/low-latency/index.m3u8?_HLS_msn=4&_HLS_part=0", held)


if __name__ == "__main__":
    main()
