"""The page for people in Chromium, below /api/proxy/."""

from page_tests import English, PageTests
from players import PlayerTest, main


class Chromium(English, PageTests, PlayerTest):
    browser = "chromium"
    program = "chromium"
    language = "en-US"
    mount = "/api/proxy/"
    views = ((360, "light"), (360, "dark"), (1280, "light"), (1280, "dark"))
    steps = ("playStreams", "fail", "options", "browse", "checkAccess", "languages")

    def test_hls_plays_with_the_player_of_the_browser(self):
        self.assertEqual(self.report["hls"]["facts"]["player"], "the browser's own player")

    def test_the_chosen_language_is_remembered(self):
        self.assertEqual(
            self.report["languages"], [["en", "Play"], ["zh-CN", "播放"], ["zh-CN", "播放"]]
        )
        self.assertEqual(self.report["untranslated"], [])


if __name__ == "__main__":
    main()
