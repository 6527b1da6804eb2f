"""The tests of test_page_chromium.py and test_page_firefox.py: the page for people, used by
keyboard in a real browser. The browser starts once; each test checks a part of its report."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from urllib.parse import quote

from players import HERE, INSTALLED, MEDIA, closed_port, install_players
from tokens import b64
from upstream import Answer, Upstream, playlist, status

CHANNELS = 10_000
LIVE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".ts": "video/mp2t",
    ".m4s": "video/mp4",
}
MEDIA_TYPE = "application/octet-stream"


def read_media(path):
    with open(os.path.join(MEDIA, path.lstrip("/")), "rb") as file:
        return file.read()


def live_stream():
    """MPEG-TS without a length, which does not end."""
    whole = b"".join(read_media(f"/ts/seg-{i}.ts") for i in range(5))
    return Answer(LIVE_HEAD + whole, "stall")


def channel_list(origin, other):
    """Ten thousand channels. The first one is an attack on the page. The last one plays, and is on
    another origin."""
    attack = '#EXTINF:-1 group-title="<b>bold</b>",<img src=x onerror=alert(1)>'
    lines = ["#EXTM3U", attack, "/x.ts"]
    for number in range(2, CHANNELS):
        lines.append(f'#EXTINF:-1 group-title="Group {number % 20}",Channel {number}')
        lines.append(f"{origin}/channel/{number}.m3u8")
    lines.append(f'#EXTINF:-1 tvg-logo="{origin}/logo.png" group-title="Last",The last one')
    lines.append(f"{other}/ts/index.m3u8")
    return playlist("\n".join(lines) + "\n")


class PageTests:
    """The tests of `browser`, whose program is `program`, in `language`."""

    settings = {
        "workers": 2,
        "page": {"enabled": True},
        "security": {"allow_private": ["127.0.0.1/32"]},
    }
    mount = "/"
    views = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_players()
        cls.up = Upstream(cls.answer)
        cls.other = Upstream(cls.answer)
        cls.report = None

    @classmethod
    def tearDownClass(cls):
        cls.up.stop()
        cls.other.stop()
        super().tearDownClass()

    def setUp(self):
        self.last_proxy = self.proxy()
        players = self.last_proxy.ask("/page/players.js").body.decode()
        self.players = set(re.findall(r"'(\w+\.js)':", players))
        if type(self).report is None:
            type(self).report = {}  # also if the browser fails: once is enough
            type(self).report = self.use_page()

    @classmethod
    def answer(cls, request):
        path = request.path
        if path == "/live.ts":
            return live_stream()
        if path == "/list.m3u":
            return channel_list(cls.up.origin, cls.other.origin)
        if path == "/broken.m3u8":
            return playlist("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n/missing.ts\n")
        if path == "/web":
            return status(200, [("Content-Type", "text/html")], b"<!doctype html><p>hello")
        if os.path.isfile(os.path.join(MEDIA, path.lstrip("/"))):
            kind = TYPES.get(os.path.splitext(path)[1], MEDIA_TYPE)
            return status(200, [("Content-Type", kind)], read_media(path))
        return status(404)

    def streams(self):
        """Those that this browser plays with the players of this build."""
        streams = {
            "hls": "/ts/index.m3u8",
            "variants": "/fmp4/master.m3u8",
            "ts": "/live.ts",
            "dash": "/dash/manifest.mpd",
            "file": "/movie.mp4",
        }
        if "mpegts.js" not in self.players:
            del streams["ts"]
        if "dash.js" not in self.players:
            del streams["dash"]
        return streams

    def use_page(self):
        order = {
            "proxy": self.last_proxy.origin,
            "mount": self.mount,
            "upstream": self.up.origin,
            "language": self.language,
            "streams": self.streams(),
            "failures": {
                "refused": f"http://127.0.0.1:{closed_port()}/a.ts",
                "missing": self.up.url("/missing.ts"),
                "private": "http://10.1.2.3/a.ts",
                "web": self.up.url("/web"),
                "scheme": "gopher://example.com/a",
            },
            "broken": "/broken.m3u8",
            "list": "/list.m3u",
            "views": self.views,
            "steps": self.steps,
            "shots": os.environ.get("STREAMGATE_SHOTS"),
        }
        program = shutil.which(self.program) or self.program
        with tempfile.TemporaryDirectory(
            prefix="streamgate-page-", ignore_cleanup_errors=True
        ) as folder:
            done = subprocess.run(
                [
                    "node",
                    os.path.join(HERE, "page.mjs"),
                    self.browser,
                    program,
                    folder,
                    json.dumps(order),
                ],
                cwd=INSTALLED,
                env={**os.environ, "HOME": folder},
                capture_output=True,
                text=True,
                timeout=280,
                check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_requests_go_to_the_proxy_only(self):
        below = self.last_proxy.origin + self.mount
        strays = {
            url
            for url in self.report["requested"]
            if not url.startswith(below) and not url.startswith(("blob:", "data:"))
        }
        self.assertEqual(strays, set())

    def test_the_browser_has_no_complaint(self):
        # Browsers write a line for each answer of 400 and more.
        expected = re.compile(r"Failed to load resource: the server responded with a status of")
        complaints = [c for c in self.report["complaints"] if not expected.match(c)]
        self.assertEqual(complaints, [])

    def test_hls_plays(self):
        facts = self.report["hls"]["facts"]
        self.assertEqual(facts["picture"], "320×180")
        self.assertEqual(facts["answer"], "200")
        self.assertRegex(facts["first_byte"], r"^\d+ ")
        self.assertRegex(facts["length"], r"^00:10")
        facts = self.report["variants"]["facts"]
        self.assertEqual(facts["audio"], "low (en), high (de)")
        self.assertEqual(len(self.report["variants"]["variants"]), 2)
        self.assertIn("0.40 Mbit/s", self.report["variants"]["variants"][0])

    def test_a_live_transport_stream_plays_on_one_request(self):
        if "mpegts.js" not in self.players:
            self.skipTest("this build has no mpegts.js (STREAMGATE_PAGE_PLAYERS)")
        report = self.report["ts"]
        self.assertIn("mpegts.js", report["facts"]["player"])
        self.assertIn("avc1", report["facts"]["codecs"])
        # The request that showed the kind is the one that plays.
        self.assertEqual(self.up.targets().count("/live.ts"), 1)

    def test_dash_plays_with_dash_js(self):
        if "dash.js" not in self.players:
            self.skipTest("this build has no dash.js (STREAMGATE_PAGE_PLAYERS)")
        report = self.report["dash"]
        self.assertRegex(report["facts"]["player"], r"^dash\.js \d")
        self.assertEqual(report["facts"]["picture"], "320×180")
        self.assertRegex(report["facts"]["codecs"], r"^avc1\.\w+, mp4a\.40\.2$")
        self.assertEqual(len(report["variants"]), 1)

    def test_a_file_is_requested_by_the_browser_only(self):
        report = self.report["file"]
        self.assertEqual(report["facts"]["picture"], "640×360")
        requests = [r for r in self.up.requests if r.path == "/movie.mp4"]
        # Browsers request media with a range, and the page without one.
        self.assertEqual([r for r in requests if not r["Range"]], [])

    def test_a_token_is_in_the_links_and_nowhere_else(self):
        for before, link in zip(self.report["withHeader"], self.report["withToken"]):
            is_path = "/at/" in link
            self.assertEqual(link, f"{before}{'?' if is_path else '&'}sg_token=to.ken")
        self.assertEqual(len(self.report["withToken"]), 3)
        self.assertEqual(self.report["tokenIn"], [False] * 3)

    def test_links_of_all_forms_carry_the_options(self):
        origin = self.last_proxy.origin + self.mount
        scope = quote(self.up.origin + "/", safe="")
        carry = b64(f"sg_scope={scope}&h_Authorization=a%26b".encode())
        path = self.up.url("/a%20b.ts").replace("://", "/")
        self.assertEqual(self.report["withHeader"][2], f"{origin}at/{carry}/{path}")
        self.last_proxy.ask(f"{self.mount}at/{carry}/{path}")
        last = self.up.requests[-1]
        self.assertEqual((last.path, last["Authorization"]), ("/a%20b.ts", "a&b"))
        url = "url=" + re.sub("[:/]", lambda m: f"%{ord(m[0]):02X}", self.up.origin) + "%2Fa%20b.ts"
        query = f"?{url}&h_Authorization=a%26b&sg_live=1"
        self.assertEqual(
            self.report["withOptions"],
            [f"{origin}stream{query}", f"{origin}stream/a%20b.ts{query}"],
        )
        self.assertEqual(self.report["takenApart"], [self.up.url("/a b.ts"), "Authorization", True])
        self.assertIn(self.report["copied"], ("Copied", "已复制"))


class English:
    """The texts in English. The table and test_page_firefox.py check the other language."""

    def test_errors_are_in_words_with_their_reason(self):
        failures = self.report["failures"]
        self.assertIn("refuses connections", failures["refused"])
        self.assertIn("connect_failed", failures["refused"])
        self.assertIn("private", failures["private"])
        self.assertIn("target_forbidden", failures["private"])
        self.assertIn("bad_url", failures["scheme"])
        self.assertIn("web page", failures["web"])
        self.assertIn("404", failures["missing"])
        self.assertNotIn("streamgate", failures["missing"].lower())

    def test_a_part_that_fails_is_explained_while_the_player_tries_again(self):
        report = self.report["broken"]
        shown = report["status"] + report["error"]
        self.assertIn("The upstream has nothing at this URL (404)", shown)
        self.assertEqual(report["facts"]["kind"], "HLS playlist")

    def test_a_channel_of_another_origin_gets_no_credentials(self):
        self.assertEqual({r["Authorization"] for r in self.other.requests}, {None})
        lists = [r for r in self.up.requests if r.path == "/list.m3u"]
        self.assertEqual([r["Authorization"] for r in lists], ["a&b"])

    def test_ten_thousand_channels_are_browsed_by_keyboard(self):
        report = self.report
        self.assertEqual(report["list"]["count"], "10,000 of 10,000")
        self.assertLess(report["list"]["rows"], 40)
        self.assertEqual(report["list"]["active"], "<img src=x onerror=alert(1)>")
        self.assertEqual(report["list"]["markup"], 0)
        self.assertEqual(report["listEnd"]["active"], "The last one")
        self.assertLess(report["listEnd"]["rows"], 40)
        self.assertIn("The last one", report["channel"]["chosen"])
        self.assertEqual(report["channel"]["facts"]["picture"], "320×180")
        self.assertEqual(report["beforeList"], "search")
        self.assertEqual(report["found"]["count"], "1 of 10,000")
        self.assertEqual(report["found"]["active"], "Channel 4321")
        self.assertEqual(report["afterSearch"], "channel-list")
        # Logos are off.
        self.assertNotIn("/logo.png", self.up.targets())

    def test_axe_finds_nothing_in_both_themes_and_widths(self):
        self.assertEqual(self.report["violations"], [])
        self.assertEqual(self.report["overflow"], [0] * len(self.views))
