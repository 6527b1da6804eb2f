"""A page of another origin with a player from npm, opened in Chromium by play.mjs."""

import json
import os
import shutil
import subprocess
import tempfile
from urllib.parse import urlencode

from origin import Origin
from players import HERE, INSTALLED, PlayerTest, install_players


class PlayerPage(PlayerTest):
    page = "player.html"
    script = os.path.join("hls.js", "dist", "hls.min.js")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_players()
        cls.site_folder = tempfile.TemporaryDirectory(prefix="streamgate-page-")
        shutil.copy(os.path.join(HERE, cls.page), cls.site_folder.name)
        shutil.copy(os.path.join(INSTALLED, "node_modules", cls.script), cls.site_folder.name)
        cls.site = Origin(cls.site_folder.name, proof_needed=False)

    @classmethod
    def tearDownClass(cls):
        cls.site.stop()
        cls.site_folder.cleanup()
        super().tearDownClass()

    def open(self, sources, seconds=90):
        """The page's report, when all its videos have ended or one has failed."""
        query = urlencode([("src", source) for source in sources])
        chromium = shutil.which("chromium") or "chromium"
        with tempfile.TemporaryDirectory(
            prefix="streamgate-chromium-", ignore_cleanup_errors=True
        ) as profile:
            url = self.site.url(f"/{self.page}?{query}")
            done = subprocess.run(
                ["node", os.path.join(HERE, "play.mjs"), chromium, profile, url, str(seconds)],
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
        self.assertEqual(
            sorted(report["origins"]), sorted([self.site.base, self.last_proxy.origin])
        )
        return report
