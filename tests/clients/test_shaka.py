"""shaka in Chromium plays fMP4 and MPEG-TS of any declared type. It takes the container of a
segment from its Content-Type, because a link to the proxy has no extension."""

import os
from urllib.parse import quote

from player_page import PlayerPage
from players import main

TYPES = ["video/iso.segment", "text/plain", ""]


class Shaka(PlayerPage):
    page = "shaka.html"
    script = os.path.join("shaka-player", "dist", "shaka-player.compiled.js")

    def test_segments_of_wrong_generic_and_no_type_play(self):
        origin = self.origin()
        paths = [f"/typed/{quote(t, safe='')}/fmp4/master.m3u8" for t in TYPES]
        paths += [f"/typed/{quote(t, safe='')}/ts/index.m3u8" for t in ("video/mp4", "image/png")]
        report = self.open([self.watch_url(origin, path) for path in paths], seconds=30)
        self.assertEqual(report["played"], len(paths))
        self.assert_all_requests_came_through_the_proxy(origin)


if __name__ == "__main__":
    main()
