"""libavformat 8 refuses segments by their extension; through the proxy it plays all of them."""

import json
import os
import platform
import shutil
import subprocess
import unittest

from players import BUILD, HERE, MEDIA, PlayerTest, install_players, main
from upstream import ok, playlist

INSTALLED = os.path.join(BUILD, "libavformat")
PACKAGES = os.path.join(HERE, "libavformat")


def read(*path):
    with open(os.path.join(MEDIA, *path), "rb") as file:
        return file.read()


@unittest.skipUnless(platform.machine() == "x86_64", "node-av is installed for x86_64 only")
class Libavformat(PlayerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_players(PACKAGES, INSTALLED)
        shutil.copy(os.path.join(PACKAGES, "probe.mjs"), INSTALLED)

    def probe(self, url):
        done = subprocess.run(
            ["node", "probe.mjs", url],
            cwd=INSTALLED,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def assert_plays(self, url):
        report = self.probe(url)
        self.assertNotIn("error", report, url)
        self.assertGreater(report["packets"], 20, (url, report))

    def proxied(self, up, path, child_urls):
        return self.proxy(hls={"child_urls": child_urls}).origin + f"/stream?url={up.url(path)}"

    def test_ts_segments_of_any_name_play(self):
        segment = read("ts", "seg-0.ts")
        names = ("s.ts", "s.jpg", "s.css", "s.js?v=2", "s.png", "seg", "s.ts?t=1", "s.ts/tok/1")
        refused = []
        for name in names:
            text = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\n/{name}\n#EXT-X-ENDLIST\n"
            up = self.upstream(
                lambda request, text=text: playlist(text)
                if request.path == "/i.m3u8"
                else ok(segment, content_type="video/mp2t")
            )
            if "error" in self.probe(up.url("/i.m3u8")):
                refused.append(name)
            for child_urls in ("query", "named"):
                with self.subTest(name=name, child_urls=child_urls):
                    self.assert_plays(self.proxied(up, "/i.m3u8", child_urls))
        self.assertIn("s.jpg", refused)  # else this test proves nothing
        self.assertNotIn("s.ts", refused)

    def test_mp4_segments_and_maps_of_any_name_play(self):
        folder = os.path.join(MEDIA, "fmp4", "small")
        files = sorted(f for f in os.listdir(folder) if f.endswith(".m4s"))
        bodies = {"/init": read("fmp4", "small", "init.mp4"), "/a.jpg": read(folder, files[0])}
        text = (
            '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="/init"\n'
            "#EXTINF:4,\n/a.jpg\n#EXT-X-ENDLIST\n"
        )
        up = self.upstream(
            lambda request: playlist(text)
            if request.path == "/i.m3u8"
            else ok(bodies[request.path], content_type="image/jpeg")
        )
        self.assertIn("error", self.probe(up.url("/i.m3u8")))
        for child_urls in ("query", "named"):
            self.assert_plays(self.proxied(up, "/i.m3u8", child_urls))


if __name__ == "__main__":
    main()
