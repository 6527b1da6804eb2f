"""The web pages of deploy/RECIPES.md play in Chromium, on an origin of their own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from origin import Origin
from players import HERE, INSTALLED, PlayerTest, install_players, main

sys.path.insert(0, os.path.join(HERE, "..", "documents"))

from recipes import blocks, replaced  # noqa: E402

LIBRARIES = {
    "hls.min.js": ("hls.js", "dist", "hls.min.js"),
    "video.min.js": ("video.js", "dist", "video.min.js"),
    "video-js.min.css": ("video.js", "dist", "video-js.min.css"),
}


class Pages(PlayerTest):
    def test_each_page_plays(self):
        install_players()
        origin = self.origin(proof_needed=False)
        addresses = {
            "http://localhost:8080": self.proxy().origin,
            "https://cdn.example/live/index.m3u8": origin.url("/ts/index.m3u8"),
            "https://cdn.example/live/film.mp4": origin.url("/movie.mp4"),
        }
        pages = [b for b in blocks("deploy/RECIPES.md") if b.language == "html"]
        self.assertGreaterEqual(len(pages), 3)
        with tempfile.TemporaryDirectory(
            prefix="streamgate-pages-", ignore_cleanup_errors=True
        ) as folder:
            for name, parts in LIBRARIES.items():
                shutil.copy(os.path.join(INSTALLED, "node_modules", *parts), f"{folder}/{name}")
            for i, page in enumerate(pages):
                with open(f"{folder}/{i}.html", "w", encoding="utf-8") as file:
                    file.write(replaced(page.text, addresses))
            site = Origin(folder, proof_needed=False)
            self.addCleanup(site.stop)
            urls = [site.url(f"/{i}.html") for i in range(len(pages))]
            done = subprocess.run(
                ["node", f"{HERE}/watch.mjs", shutil.which("chromium"), folder, "60", *urls],
                cwd=INSTALLED,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        for page, report in zip(pages, json.loads(done.stdout), strict=True):
            with self.subTest(page):
                self.assertGreaterEqual(report["position"], 1, report)


if __name__ == "__main__":
    main()
