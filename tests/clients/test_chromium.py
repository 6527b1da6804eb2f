"""Foreign content in Chromium."""

from browser_tests import BrowserTests
from players import PlayerTest, main


class Chromium(BrowserTests, PlayerTest):
    browser = "chromium"
    program = "chromium"


if __name__ == "__main__":
    main()
