"""The base of the tests with real players: media, an origin, and a proxy in front of it."""

import fcntl
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional"))

import media  # noqa: E402
from harness import ProxyTest, closed_port, main, stream_path, wait_until  # noqa: E402
from origin import Origin  # noqa: E402

__all__ = [
    "BUILD",
    "HERE",
    "INSTALLED",
    "MEDIA",
    "PADDING",
    "PlayerTest",
    "closed_port",
    "install_players",
    "main",
]

BUILD = os.environ.get("STREAMGATE_BUILD") or os.path.join(HERE, "node_modules", ".build")
MEDIA = os.path.join(BUILD, "media")
INSTALLED = os.path.join(BUILD, "players")
# Makes a playlist so long that the proxy compresses it.
PADDING = b"".join(b"# line %d\n" % i for i in range(2000))


def install_players(folder=HERE, into=INSTALLED):
    """Runs npm ci for the package files of `folder`, unless `into` has exactly these versions."""
    os.makedirs(into, exist_ok=True)
    with open(os.path.join(into, "lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two tests may run at the same time
        install_players_alone(folder, into)


def install_players_alone(folder, into):
    lock = os.path.join(folder, "package-lock.json")
    stamp = os.path.join(into, "node_modules", "installed-lock.json")
    with open(lock, encoding="utf-8") as file:
        wanted = file.read()
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == wanted:
                return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(folder, name), into)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional"],
        cwd=into,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if done.returncode:
        raise AssertionError("npm ci failed:\n" + done.stdout + done.stderr)
    shutil.copy(lock, stamp)


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
