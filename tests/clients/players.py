"""The base of the tests with real players: media, an origin, and a proxy in front of it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))

import media  # noqa: E402
from harness import ProxyTest, main, stream_path  # noqa: E402
from origin import Origin  # noqa: E402

__all__ = ["BUILD", "MEDIA", "PlayerTest", "main"]

BUILD = os.environ.get("STREAMGATE_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "node_modules", ".build"
)
MEDIA = os.path.join(BUILD, "media")


class PlayerTest(ProxyTest):
    # The only private address that the guard allows is the origins'.
    settings = {"workers": 2, "security": {"allow_private": ["127.0.0.1/32"]}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        media.make(MEDIA)

    def origin(self, **options):
        origin = Origin(MEDIA, **options)
        self.addCleanup(origin.stop)
        return origin

    def watch_url(self, origin, path, route="/stream"):
        """The URL that a viewer gives the player."""
        self.last_proxy = self.proxy()
        return self.last_proxy.origin + stream_path(
            origin.url(path), route, **{"h_X-Proxy-Proof": origin.proof}
        )

    def assert_all_requests_came_through_the_proxy(self, origin):
        self.assertEqual(origin.strays, [])
        self.assertTrue(origin.requests)
        self.assertEqual([r for r in origin.requests if r[2] not in (200, 206)], [])
