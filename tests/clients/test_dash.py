"""dash.js and shaka-player in Chromium, on a page of another origin, and ffmpeg play DASH."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from urllib.parse import quote

import media
from origin import Origin
from players import HERE, INSTALLED, PlayerTest, install_players, main

SECONDS = 3
SCRIPTS = ("dashjs/dist/modern/umd/dash.all.min.js", "shaka-player/dist/shaka-player.compiled.js")


def make_manifests(root):
    """A manifest with relative references, and one whose references would lead past us."""
    media.make_dash(root, SECONDS)
    folder = os.path.join(root, "dash")
    path = os.path.join(folder, "manifest.mpd")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r'(media|initialization)="', r'\1="/dash/', text)
    media.write(os.path.join(folder, "rooted.mpd"), text)


class Dash(PlayerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_players()
        cls.folder = tempfile.TemporaryDirectory(prefix="streamgate-dash-")
        make_manifests(cls.folder.name)
        site = media.subfolder(cls.folder.name, "site")
        for file in (
            os.path.join(HERE, "dash.html"),
            *(os.path.join(INSTALLED, "node_modules", script) for script in SCRIPTS),
        ):
            shutil.copy(file, site)
        cls.site = Origin(site, proof_needed=False)

    @classmethod
    def tearDownClass(cls):
        cls.site.stop()
        cls.folder.cleanup()
        super().tearDownClass()

    def origin(self, **options):
        origin = Origin(self.folder.name, **options)
        self.addCleanup(origin.stop)
        return origin

    def test_two_players_in_a_browser_play_to_the_end(self):
        origin = self.origin()
        source = self.watch_url(origin, "/dash/rooted.mpd")
        page = self.site.url("/dash.html?src=" + quote(source, safe=""))
        chromium = shutil.which("chromium") or "chromium"
        with tempfile.TemporaryDirectory(
            prefix="streamgate-chromium-", ignore_cleanup_errors=True
        ) as profile:
            done = subprocess.run(
                ["node", os.path.join(HERE, "play.mjs"), chromium, profile, page, "90"],
                cwd=INSTALLED,
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["errors"], [], report)
        self.assertTrue(report["ended"], report)
        for position in report["currentTimes"]:
            self.assertAlmostEqual(position, SECONDS, delta=0.5)
        self.assertEqual(
            sorted(report["origins"]), sorted([self.site.base, self.last_proxy.origin])
        )
        self.assert_all_requests_came_through_the_proxy(origin)

    def test_ffmpeg_plays_relative_and_rooted_references(self):
        for name in ("manifest", "rooted"):
            origin = self.origin()
            done = subprocess.run(
                ["ffmpeg", "-v", "error", "-nostdin", "-i",
                 self.watch_url(origin, f"/dash/{name}.mpd"), "-c", "copy", "-f", "framecrc", "-"],
                capture_output=True, text=True, timeout=120, check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            packets = [line for line in done.stdout.splitlines() if line and line[0] != "#"]
            self.assertGreater(len(packets), SECONDS * 25)
            self.assert_all_requests_came_through_the_proxy(origin)


if __name__ == "__main__":
    main()
