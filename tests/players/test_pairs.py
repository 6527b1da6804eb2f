"""Every player plays every stream through the proxy that it plays directly, and nothing reaches the
origin past the proxy.

Each pair of a player and a stream plays twice at the same time: directly, and through the proxy. A
pair that does not play directly is no failure, but it must be in KNOWN: otherwise the test would
prove less without a notice. The origin answers only requests that came through the proxy
(clients/origin.py), and remembers which parts were requested.

    test_pairs.py [PLAYER...]   STREAMGATE_STREAMS=REGEX selects streams, STREAMGATE_CHILD_URLS=path
                                sets hls.child_urls
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import unittest
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "clients"))

import programs  # noqa: E402
import streams  # noqa: E402
from origin import Origin  # noqa: E402
from players import BUILD, INSTALLED, PlayerTest, install_players, main  # noqa: E402

STREAMS = os.path.join(BUILD, "player-streams")
LIBAVFORMAT = os.path.join(BUILD, "libavformat")
PAGE_SECONDS = 75  # for one page; two run at a time

PLAY = [["play", 1.5], ["seek", -3], ["end"]]
LIVE = [["play", 6]]


@dataclass
class Stream:
    kind: str  # hls, dash or file
    path: str
    steps: list = field(default_factory=lambda: PLAY)  # of a page (page.js)
    length: int = None  # seconds that a program plays; None: to the end
    needs: tuple = ()  # beginnings of paths that only a player with the feature requests
    plan: dict = field(default_factory=dict)  # more of the plan of a page
    only: tuple = ()  # the players that have the feature; empty: all that play the kind


def typed(media_type):
    path = f"/typed/{quote(media_type, safe='')}/fmp4/master.m3u8"
    return Stream("hls", path, [["play", 1.5], ["cue", "line 0"], ["seek", -3], ["end"]],
                  plan={"texts": True})


PAGES = ("hls.js", "shaka", "video.js")
ALL = {
    "ts": Stream("hls", "/ts/index.m3u8"),
    "aes-128": Stream("hls", "/aes/index.m3u8", needs=("/aes/key.bin",)),
    "byte ranges": Stream("hls", "/ranges/index.m3u8"),
    "byte ranges of fmp4": Stream("hls", "/ranges-fmp4/index.m3u8"),
    "fmp4 as iso.segment": typed("video/iso.segment"),
    "fmp4 as text": typed("text/plain"),
    "fmp4 without type": typed(""),
    "live": Stream("hls", "/steer/a/index.m3u8", LIVE, 6),
    "low latency": Stream("hls", "/low-latency.m3u8",
                          [["play", 3], ["switch", 270], ["play", 2]], 6,
                          ("/parts-270/",), only=PAGES),
    "low latency without switch": Stream("hls", "/low-latency.m3u8", LIVE, 6),
    "define": Stream("hls", "/define/master.m3u8?token=a%2Bb", [["play", 1], ["end"]]),
    "asset uri": Stream("hls", "/spot/uri.m3u8", [["play", 8]], None,
                        ("/spot/index.m3u8", "/spot/seg-")),
    "asset list": Stream("hls", "/spot/listed.m3u8", [["play", 8]], None,
                         ("/spot/list.json", "/spot/seg-")),
    "steering": Stream("hls", "/steer/master.m3u8", [["play", 12]], 6,
                       ("/steer/manifest.json", "/steer/b/")),
    "image track": Stream("hls", "/thumbs/master.m3u8", [["play", 1], ["thumbnail"], ["end"]],
                          needs=("/thumbs/tile-1.jpg",)),
    "thumbnail vtt": Stream("hls", "/ts/index.m3u8", [["play", 1], ["thumbnail"]],
                            needs=("/thumbs/tile-1.jpg",),
                            plan={"thumbnails": "/thumbs/thumbs.vtt"}, only=("shaka",)),
    "mp4": Stream("file", "/movie.mp4", [["play", 1], ["seek", 50], ["seek", 10], ["seek", -2],
                                         ["end"]]),
    "clear key": Stream("dash", "/clear/manifest.mpd", only=("shaka", "dash.js"),
                        plan={"clearKeys": {streams.KEY_ID: streams.KEY}}),
    "dash": Stream("dash", "/dash/manifest.mpd"),
    "dash in single files": Stream("dash", "/dash-single/manifest.mpd"),
    "dash with rooted references": Stream("dash", "/dash/rooted.mpd"),
    "dash live": Stream("dash", "/dash/live.mpd", LIVE, 6),
    "dash live timeline": Stream("dash", "/dash/timeline.mpd", LIVE, 6),
    "dash patches": Stream("dash", "/dash/patched.mpd", [["play", 10]], 6, ("/dash/patch.mpp",)),
    "dash patches from a folder": Stream("dash", "/dash/patched-from-a-folder.mpd",
                                         [["play", 10]], 6, ("/dash/patches/patch.mpp",)),
    "dash periods": Stream("dash", "/dash/periods.mpd", needs=("/dash-b/",)),
    "dash empty base url": Stream("dash", "/empty-base.mpd"),
    "dash base url at the end": Stream("dash", "/dash/late.mpd", needs=("/dash-b/",)),
    "dash remote period": Stream("dash", "/dash/remote.mpd", needs=("/dash/remote-period.xml",)),
    "dash steering": Stream("dash", "/dash/steered.mpd", [["play", 10]], 6,
                            ("/dash/steering.json", "/dash-b/")),
    "dash image track": Stream("dash", "/dash/images.mpd", [["play", 1], ["thumbnail"]],
                               needs=("/thumbs/tile-1.jpg",), only=("shaka", "dash.js")),
}
PLAYERS = {
    "browser": ("hls", "file"),
    "hls.js": ("hls",),
    "shaka": ("hls", "dash", "file"),
    "video.js": ("hls", "dash", "file"),
    "dash.js": ("dash",),
    "ffmpeg": ("hls", "dash", "file"),
    "libavformat": ("hls", "dash", "file"),
    "mpv": ("hls", "dash", "file"),
    "vlc": ("hls", "dash", "file"),
    "gstreamer": ("hls", "dash", "file"),
}
MAX_MORE_LATENCY = 1  # seconds, in a low-latency stream, on a busy machine
NO_VARIABLES = ("ffmpeg", "libavformat", "mpv", "vlc", "gstreamer", "video.js")
NO_REMOTE_ELEMENTS = (*NO_VARIABLES, "dash.js")  # dash.js: not with a relative xlink:href
# Pairs that do not play directly, with the versions of tests/clients/package.json and of Debian 12.
KNOWN = {
    *((player, "define") for player in NO_VARIABLES),
    *((player, "dash remote period") for player in NO_REMOTE_ELEMENTS),
    *(("browser", name) for name in ("define", "byte ranges", "byte ranges of fmp4")),
    ("shaka", "steering"),  # a relative RELOAD-URI
    ("video.js", "dash steering"),
    ("dash.js", "clear key"),  # generateRequest() without data
}


@dataclass
class Outcome:
    played: float  # 0: it did not
    features: set  # those of Stream.needs that were requested
    told: str  # what the player says
    latency: float = 0  # seconds behind the live edge; 0: the player does not say

    def __bool__(self):
        return self.played > 0


class Pairs(PlayerTest):
    player = ""
    counts = False  # whether `played` is the same number at each play to the end
    settings = {
        "workers": 2,
        "security": {"allow_private": ["127.0.0.1/32"]},
        "hls": {"child_urls": os.environ.get("STREAMGATE_CHILD_URLS", "query")},
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        streams.make(STREAMS)
        cls.origins = {}

    @classmethod
    def tearDownClass(cls):
        for pair in cls.origins.values():
            for origin in pair:
                origin.stop()
        super().tearDownClass()

    def streams(self):
        chosen = os.environ.get("STREAMGATE_STREAMS", "")
        return {
            name: stream
            for name, stream in ALL.items()
            if stream.kind in PLAYERS[self.player]
            and self.player in (stream.only or PLAYERS)
            and re.search(chosen, name)
        }

    def begin(self, name):
        """The two origins of a stream: of the direct play, and of that through the proxy."""
        for origin in self.origins.get(name, ()):
            origin.stop()
        pair = (streams.StreamOrigin(STREAMS, proof_needed=False), streams.StreamOrigin(STREAMS))
        self.origins[name] = pair
        return pair

    def test_what_plays_directly_plays_through_the_proxy(self):
        chosen = self.streams()
        problems = self.problems(chosen)
        # Once more: on a busy machine a player may give up on a live stream.
        again = {name: chosen[name] for name, problem in problems.items() if problem}
        if again:
            problems.update(self.problems(again))
        for name, problem in problems.items():
            with self.subTest(player=self.player, stream=name):
                self.assertIsNone(problem)

    def problems(self, chosen):
        outcomes = self.play(chosen)
        for name in chosen:
            direct, through = outcomes[name]
            latencies = f"{direct.latency:.2f} {through.latency:.2f}" if direct.latency else ""
            print(f"{self.player:12} {name:28} {direct.played:8.1f} {through.played:8.1f} "
                  f"{len(direct.features)}/{len(through.features)} {latencies}"
                  f" {through.told or direct.told}",
                  file=sys.stderr)
        return {name: self.problem_of(name, *outcomes[name]) for name in chosen}

    def problem_of(self, name, direct, through):
        """Why the pair is wrong, or None."""
        _, origin = self.origins[name]
        if origin.strays:
            return f"requests past the proxy: {origin.strays}"
        if not direct:
            is_known = (self.player, name) in KNOWN
            return None if is_known else f"does not play directly: {direct.told}"
        if not through or not origin.requests:
            return f"plays directly only: {through.told}"
        if not direct.features <= through.features:
            return f"requests directly only: {direct.features - through.features}"
        if "latency" in name and through.latency > direct.latency + MAX_MORE_LATENCY:
            return f"is {through.latency} s behind the live edge, and directly {direct.latency}"
        is_shorter = through.played < 0.9 * direct.played
        if self.counts and not ALL[name].length and is_shorter:
            return f"plays {through.played}, and directly {direct.played}"
        return None

    def outcomes(self, results):
        """Of {name: [(played, told) of both plays]}."""
        found = {}
        for name, pair in results.items():
            needs = ALL[name].needs
            found[name] = [
                Outcome(played, {n for n in needs if any(p.startswith(n) for p in origin.paths())},
                        told, *latency)
                for (played, told, *latency), origin in zip(pair, self.origins[name])
            ]
        return found

    def links(self, name, path):
        """The two URLs of a path of the stream."""
        direct, origin = self.origins[name]
        return direct.url(path), self.watch_url(origin, path)

    def path_link(self, origin, path):
        carry = urlsafe_b64encode(f"h_X-Proxy-Proof={origin.proof}".encode()).decode().rstrip("=")
        return f"{self.last_proxy.origin}/at/{carry}/{origin.url(path).replace('://', '/', 1)}"


class Pages(Pairs):
    """The players in Chromium, on a page of a third origin."""

    FILES = (
        ("hls.js", "dist", "hls.min.js"),
        ("shaka-player", "dist", "shaka-player.compiled.js"),
        ("video.js", "dist", "video.min.js"),
        ("dashjs", "dist", "modern", "umd", "dash.all.min.js"),
    )

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_players()
        cls.folder = tempfile.TemporaryDirectory(prefix="streamgate-pairs-")
        for file in (
            *(os.path.join(INSTALLED, "node_modules", *path) for path in cls.FILES),
            *(os.path.join(HERE, name) for name in ("page.html", "page.js")),
        ):
            shutil.copy(file, cls.folder.name)
        cls.site = Origin(cls.folder.name, proof_needed=False)

    @classmethod
    def tearDownClass(cls):
        cls.site.stop()
        cls.folder.cleanup()
        super().tearDownClass()

    def pages(self, name, stream):
        self.begin(name)
        kind = {"hls": "application/vnd.apple.mpegurl", "dash": "application/dash+xml",
                "file": "video/mp4"}[stream.kind]
        for origin, link in zip(self.origins[name], self.links(name, stream.path)):
            plan = {**stream.plan, "steps": stream.steps}
            if "thumbnails" in plan:
                link_to = self.path_link if origin.proof else lambda of, path: of.url(path)
                plan["thumbnails"] = link_to(origin, plan["thumbnails"])
            query = {"player": self.player, "src": link, "type": kind, "plan": json.dumps(plan)}
            yield self.site.url("/page.html?" + urlencode(query, quote_via=quote))

    def play(self, chosen):
        urls = [url for name, stream in chosen.items() for url in self.pages(name, stream)]
        chromium = shutil.which("chromium") or "chromium"
        with tempfile.TemporaryDirectory(
            prefix="streamgate-chromium-", ignore_cleanup_errors=True
        ) as profile:
            done = subprocess.run(
                ["node", os.path.join(HERE, "watch_pages.mjs"), chromium, profile,
                 str(PAGE_SECONDS)],
                cwd=INSTALLED, input=json.dumps(urls), capture_output=True, text=True,
                timeout=len(urls) * PAGE_SECONDS, check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        reports = json.loads(done.stdout)
        results = {}
        for i, name in enumerate(chosen):
            results[name] = [self.result(report) for report in reports[2 * i : 2 * i + 2]]
        return self.outcomes(results)

    def result(self, report):
        if report.get("step") == "done" and not report["errors"]:
            return report["played"], "", report["latency"]
        return 0, f"at {report.get('step')}: {report.get('errors')} {report.get('console')}"


class Programs(Pairs):
    counts = True

    def play(self, chosen):
        if not programs.is_installed(self.player):
            self.skipTest(f"{self.player} is not installed")
        program = self.program()
        results = {}
        with ThreadPoolExecutor(2) as pool:
            for name, stream in chosen.items():
                self.begin(name)
                links = self.links(name, stream.path)
                results[name] = list(pool.map(lambda url, s=stream: program(url, s.length), links))
        return self.outcomes(results)

    def program(self):
        return getattr(programs, self.player)


class Browser(Pages, unittest.TestCase):
    player = "browser"


class HlsJs(Pages, unittest.TestCase):
    player = "hls.js"


class Latency(Pages, unittest.TestCase):
    """How far hls.js plays behind the clock of the origin. Its own estimate would not show that
    playlists come late."""

    player = "hls.js"
    stream = "low latency without switch"
    rounds = 7
    max_more = 0.1  # seconds, on an idle machine
    test_what_plays_directly_plays_through_the_proxy = None

    def result(self, report):
        return *super().result(report)[:2], report.get("behind", 0)

    def measure(self):
        """The seconds of both plays."""
        outcomes = self.play({self.stream: replace(ALL[self.stream], steps=[["play", 8]])})
        for outcome in outcomes[self.stream]:
            self.assertTrue(outcome, outcome.told)
        pairs = zip(outcomes[self.stream], self.origins[self.stream])
        found = [outcome.latency - origin.time_of_begin("parts") for outcome, origin in pairs]
        print(f"{found[0]:.3f} directly, {found[1]:.3f} through the proxy", file=sys.stderr)
        return found

    def test_a_low_latency_stream_comes_as_early_as_directly(self):
        found = [self.measure() for _ in range(self.rounds)]
        direct, through = (statistics.median(column) for column in zip(*found))
        print(f"medians: {direct:.3f} and {through:.3f}", file=sys.stderr)
        self.assertLessEqual(through, direct + self.max_more)


class Shaka(Pages, unittest.TestCase):
    player = "shaka"


class VideoJs(Pages, unittest.TestCase):
    player = "video.js"


class DashJs(Pages, unittest.TestCase):
    player = "dash.js"


class Ffmpeg(Programs, unittest.TestCase):
    player = "ffmpeg"


class Libavformat(Programs, unittest.TestCase):
    player = "libavformat"

    def program(self):
        install_players(os.path.join(HERE, "..", "clients", "libavformat"), LIBAVFORMAT)
        shutil.copy(os.path.join(HERE, "count_packets.mjs"), LIBAVFORMAT)
        return programs.libavformat(LIBAVFORMAT)


class Mpv(Programs, unittest.TestCase):
    player = "mpv"


class Vlc(Programs, unittest.TestCase):
    player = "vlc"


class Gstreamer(Programs, unittest.TestCase):
    player = "gstreamer"


# The bases are no tests.
del Pairs, Pages, Programs

if __name__ == "__main__":
    main()
