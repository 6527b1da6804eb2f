"""Foreign content in Firefox."""

from browser_tests import BrowserTests
from players import PlayerTest, main


class Firefox(BrowserTests, PlayerTest):
    browser = "firefox"
    program = "firefox-esr"


if __name__ == "__main__":
    main()
