"""hls.js in Chromium, on a page of another origin, plays to the end without errors."""

import json
import os
import shutil
import subprocess
import tempfile
from urllib.parse import quote

from media import SECONDS
from origin import Origin
from players import HERE, INSTALLED, PlayerTest, install_players, main


class HlsJs(PlayerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_players()
        cls.site_folder = tempfile.TemporaryDirectory(prefix="streamgate-page-")
        shutil.copy(os.path.join(HERE, "player.html"), cls.site_folder.name)
        shutil.copy(
            os.path.join(INSTALLED, "node_modules", "hls.js", "dist", "hls.min.js"),
            cls.site_folder.name,
        )
        cls.site = Origin(cls.site_folder.name, proof_needed=False)

    @classmethod
    def tearDownClass(cls):
        cls.site.stop()
        cls.site_folder.cleanup()
        super().tearDownClass()

    def play(self, origin, path, seconds=90):
        page = self.site.url("/player.html?src=" + quote(self.watch_url(origin, path), safe=""))
        chromium = shutil.which("chromium") or "chromium"
        with tempfile.TemporaryDirectory(
            prefix="streamgate-chromium-", ignore_cleanup_errors=True
        ) as profile:
            done = subprocess.run(
                ["node", os.path.join(HERE, "play.mjs"), chromium, profile, page, str(seconds)],
                cwd=INSTALLED,
                capture_output=True,
                text=True,
                timeout=seconds + 60,
                check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["errors"], [], report)
        self.assertTrue(report["ended"], report)
        self.assertAlmostEqual(report["currentTime"], SECONDS, delta=0.5)
        self.assertEqual(
            sorted(report["origins"]), sorted([self.site.base, self.last_proxy.origin])
        )
        self.assert_all_requests_came_through_the_proxy(origin)
        return report

    def test_multivariant_with_audio_and_subtitles_plays(self):
        origin = self.origin()
        report = self.play(origin, "/fmp4/master.m3u8")
        self.assertEqual((report["levels"], report["audioTracks"]), (2, 2))
        self.assertIn("line 0", report["cues"])
        self.assertIn("line 4", report["cues"])

    def test_aes_128_plays(self):
        origin = self.origin()
        self.play(origin, "/aes/index.m3u8")
        self.assertIn("/aes/key.bin", origin.paths())

    def test_a_live_window_plays_to_its_end(self):
        origin = self.origin()
        self.play(origin, "/live/index.m3u8")
        self.assertGreater(origin.paths().count("/live/index.m3u8"), 2)


if __name__ == "__main__":
    main()
