"""The page for people in Firefox, which has no player of its own for HLS."""

from page_tests import PageTests
from players import PlayerTest, main


class Firefox(PageTests, PlayerTest):
    browser = "firefox"
    program = "firefox-esr"
    language = "zh-CN"
    steps = ("playStreams", "options", "languages")

    def setUp(self):
        self.last_proxy = self.proxy()
        if b"hls.js" not in self.last_proxy.ask("/page/players.js").body:
            self.skipTest("this build has no hls.js (STREAMGATE_PAGE_PLAYERS)")
        super().setUp()

    def test_hls_plays_with_hls_js(self):
        self.assertRegex(self.report["hls"]["facts"]["player"], r"^hls\.js \d")

    def test_the_language_of_the_browser_is_the_first(self):
        self.assertEqual(
            self.report["languages"], [["zh-CN", "播放"], ["en", "Play"], ["en", "Play"]]
        )


if __name__ == "__main__":
    main()
